#!/usr/bin/env bash
# mutation.sh [-n COUNT] FILE TESTS: how many faults that are put into FILE do the tests find whose names match TESTS (as for ctest -R)?
# E.g. tools/mutation.sh src/host/statistics/metrics.c '^metrics$'
#
# Works in a clone of the last commit that it makes and removes, so the sources here stay as they are. The faults are those of universalmutator
# (pip install universalmutator), COUNT of them (default 30) chosen by a fixed seed; what doesn't compile, or compiles to the same
# object, is no fault and is replaced by another. Each is one of: found (a test fails or takes over a minute), missed. Those
# that were missed are shown. Takes some seconds a fault.
set -euo pipefail
cd "$(dirname "$0")/.."
count=30
if [ "${1-}" = -n ]; then
    count=${2:?mutation.sh -n COUNT FILE TESTS}
    shift 2
fi
file=${1:?usage: mutation.sh [-n COUNT] FILE TESTS}
tests=${2:?usage: mutation.sh [-n COUNT] FILE TESTS}
command -v mutate >/dev/null || {
    echo "mutation.sh: there is no universalmutator: pip install universalmutator" >&2
    exit 2
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git clone -q --shared . "$scratch/tree"
cd "$scratch/tree"
KAPPATUNE_TEST_DATA='' cmake --preset ci -DKAPPATUNE_CUDA=OFF -DKAPPATUNE_WERROR=OFF >"$scratch/log"
build() { cmake --build build/ci --parallel "$(nproc)"; }
run_tests() { ctest --test-dir build/ci -R "$tests" --timeout 60 --stop-on-failure --no-tests=error; }
build >>"$scratch/log"
run_tests >>"$scratch/log" || {
    echo "mutation.sh: the tests fail, or there are none, before anything is changed:" >&2
    tail -n 30 "$scratch/log" >&2
    exit 1
}

# The objects that are made of the file, to tell a fault from another spelling of the same.
sum() { find build/ci -name "$(basename "$file").o" -exec md5sum {} + | sort | md5sum; }
same=$(sum)
mkdir "$scratch/mutants"
mutate "$file" c --noCheck --mutantDir "$scratch/mutants" >>"$scratch/log"
cp "$file" "$scratch/original"
found=0 missed=0
for mutant in $(find "$scratch/mutants" -type f | sort | shuf --random-source=<(yes)); do
    [ $((found + missed)) -lt "$count" ] || break
    cp "$mutant" "$file"
    if build >"$scratch/log" 2>&1 && [ "$(sum)" != "$same" ]; then
        if run_tests >"$scratch/log" 2>&1; then
            missed=$((missed + 1))
            diff "$scratch/original" "$file" || true
        else
            found=$((found + 1))
        fi
    fi
done
echo "$file: $found of $((found + missed)) faults found"
