#!/bin/sh
# check_runpath.sh UNWANTED PATH...: reads every program and shared library that is PATH or below it. Each entry of a RUNPATH (or RPATH) must begin
# with a slash or be $ORIGIN or below it: the loader takes an empty entry, and any other, for a place in the folder that the program is
# called in. None may lie below the folder UNWANTED, such as the build tree of what is installed ("" for none). Prints one line a
# violation; exit status 1 when there is any, 2 where there is nothing to read.
set -eu
LC_ALL=C
export LC_ALL

unwanted=${1?usage: check_runpath.sh UNWANTED PATH...}
shift
bad=0
found=$(mktemp)
trap 'rm -f "$found"' EXIT
find "$@" -type f \( -perm -u+x -o -name '*.so' -o -name '*.so.*' \) >"$found"
binaries=0
while IFS= read -r file; do
    dynamic=$(readelf -d "$file" 2>/dev/null) || continue
    binaries=$((binaries + 1))
    paths=$(printf '%s\n' "$dynamic" | sed -n 's/.*(RU*N*PATH).*\[\(.*\)\]$/\1/p')
    [ -n "$paths" ] || continue
    # One entry a line, the empty ones too; the shell would drop what lies at the end.
    if ! printf '%s\n' "$paths" | tr ':' '\n' | awk -v file="$file" -v unwanted="$unwanted" '
        $0 == "" { print file ": an empty entry"; bad = 1; next }
        !/^\// && !/^\$ORIGIN(\/|$)/ { print file ": a relative entry, " $0; bad = 1 }
        unwanted != "" && index($0 "/", unwanted "/") == 1 { print file ": an entry of the build, " $0; bad = 1 }
        END { exit bad }'; then
        bad=1
    fi
done <"$found"
[ "$binaries" -gt 0 ] || { echo "$*: no program and no shared library"; exit 2; }
[ "$bad" -ne 0 ] || echo "$binaries programs and libraries, no unwanted entry"
exit "$bad"
