#!/bin/sh
# check_tidy.sh ROOT BUILD: every C file of src/host that BUILD compiles agrees with .clang-tidy, which says the rules. Other
# versions of clang-tidy find other things, so only the version that the project uses judges; exit status 77 where it is missing.
set -eu
root=${1:?usage: check_tidy.sh ROOT BUILD}
build=${2:?usage: check_tidy.sh ROOT BUILD}
wanted=14
for program in "clang-tidy-$wanted" clang-tidy ""; do
    if [ -z "$program" ]; then
        echo "no clang-tidy $wanted: skipped"
        exit 77
    fi
    if command -v "$program" >/dev/null && "$program" --version | grep -q "version $wanted\."; then
        break
    fi
done
cd "$root"

# The build may be gcc's, whose warnings clang does not all know. What stands in no list of this build is left out.
list=$(sed -n 's|^ *"file": "\(.*\)",*$|\1|p' "$build/compile_commands.json" | grep '/src/host/.*\.c$' | sort -u)
if [ -z "$list" ]; then
    echo "$build/compile_commands.json names no C file of src/host"
    exit 1
fi
found=$(echo "$list" | xargs -P "$(nproc)" -n 8 "$program" --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option 2>&1 |
    grep -E '(warning|error): ' | sort -u) || true
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
echo "$(echo "$list" | wc -l) files agree with .clang-tidy."
