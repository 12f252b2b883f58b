#!/bin/sh
# check_format.sh ROOT: every C, C++ and CUDA source agrees with .clang-format. Other versions of clang-format break lines
# elsewhere, so only the version that the project uses judges; exit status 77 where it is
# missing.
set -eu
root=${1:?usage: check_format.sh ROOT}
wanted=14
for program in "clang-format-$wanted" clang-format; do
    if command -v "$program" >/dev/null && "$program" --version | grep -q "version $wanted\."; then
        cd "$root"
        git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo "no git checkout: skipped"; exit 77; }
        git ls-files -co --exclude-standard '*.h' '*.c' '*.hpp' '*.cpp' '*.cu' | xargs "$program" --dry-run -Werror
        exit
    fi
done
echo "no clang-format $wanted: skipped"
exit 77
