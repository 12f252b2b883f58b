#!/usr/bin/env bash
# test.sh [--quick]: the whole test suite. Installs what is missing, then builds and tests three times: optimised; with the
# address and undefined-behaviour sanitizers; with the thread sanitizer. --quick stops after the first.
# The last line is "N passed, N failed, N skipped" over all of them; exit status 0 when nothing failed.
#
# The tests bring what they need (tests/fixtures). Where all of the reference data are at hand, in the folder KAPPATUNE_TEST_DATA
# (default: ../shared), the tests that compare with them run once more on all of it, as full.NAME; where not, those are skipped
# and the line before the last names them. An empty KAPPATUNE_TEST_DATA leaves them out.
set -euo pipefail
cd "$(dirname "$0")"

quick=no
case ${1-} in
"") ;;
--quick) quick=yes ;;
*)
    echo "usage: ./test.sh [--quick]" >&2
    exit 2
    ;;
esac

tools/install-packages.sh build test

jobs=$(nproc)
results=$PWD/build/test-results
rm -rf "$results"
mkdir -p "$results"
broken_builds=0

# Address-space randomisation can put a program where the thread sanitizer's shadow memory belongs.
steady=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    steady=(setarch "$(uname -m)" -R)
fi
export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1}

# suite PRESET CC CXX [CTEST_OPTION...]: configures, builds and tests one preset.
suite() {
    local preset=$1 cc=$2 cxx=$3 started=$SECONDS
    shift 3
    echo
    echo "== $preset ($cc)"
    if ! { CC=$cc CXX=$cxx cmake --preset "$preset" >"$results/$preset.log" 2>&1 &&
        cmake --build "build/$preset" --parallel "$jobs" >>"$results/$preset.log" 2>&1; }; then
        tail -n 60 "$results/$preset.log"
        echo "The build '$preset' failed."
        broken_builds=$((broken_builds + 1))
        return
    fi
    "${steady[@]}" ctest --test-dir "build/$preset" --parallel "$jobs" --timeout 900 --output-on-failure \
        --test-output-size-passed 100000 --test-output-size-failed 1000000 --output-junit "$results/$preset.xml" "$@" || true
    echo "== $preset: $((SECONDS - started)) s"
}

suite ci gcc g++
if [ "$quick" = no ]; then
    # clang, so that two compilers see every file.
    suite asan clang clang++ --label-exclude '^long$'
    # OpenBLAS, where it stands for LAPACK, starts threads that the sanitizer cannot look into.
    export OPENBLAS_NUM_THREADS=1
    # The slowest of the tests that start no thread have nothing to tell the thread sanitizer.
    suite tsan gcc g++ --label-exclude '^long$' \
        --exclude-regex '^(crystal_hostile|gemm_rows_.*|matgl|operations_.*|pickle|safetensors)$'
fi

# A build that failed counts as one failed test; so does a suite that ran nothing.
shopt -s nullglob
for file in "$results"/*.xml; do
    grep -q '<testcase ' "$file" || broken_builds=$((broken_builds + 1))
done
echo
awk -f tools/count-tests.awk "$results"/*.xml /dev/null | awk -v broken="$broken_builds" '
    BEGIN { failed = 1 }
    /^[0-9]+ passed/ { $3 += broken; failed = $3 }
    { print }
    END { exit failed > 0 }'
