#!/bin/sh
# check_exports.sh LIBRARY INCLUDE_DIR: the shared library's public names are those that the headers declare with KT_API,
# each beginning with kt_, no more and no fewer.
set -eu
LC_ALL=C
export LC_ALL
library=${1:?usage: check_exports.sh LIBRARY INCLUDE_DIR}
headers=${2:?usage: check_exports.sh LIBRARY INCLUDE_DIR}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$scratch/exported"
# A declaration may run over several lines: its name is the last word before the first parenthesis.
find "$headers" -name '*.h' -exec cat {} + | grep -v '^#' | tr '\n' ' ' |
    grep -oE 'KT_API[^(;]*[( ;]' | grep -oE 'kt_[A-Za-z0-9_]*[( ;]*$' | tr -d '( ;' | sort -u >"$scratch/declared"

bad=0
[ -s "$scratch/declared" ] || { echo "no KT_API declaration found in $headers"; bad=1; }
grep -v '^kt_' "$scratch/exported" | sed 's/$/: exported, but does not begin with kt_/' | grep . && bad=1
comm -23 "$scratch/exported" "$scratch/declared" | sed 's/$/: exported, but declared in no public header/' | grep . && bad=1
comm -13 "$scratch/exported" "$scratch/declared" | sed 's/$/: declared in a public header, but not exported/' | grep . && bad=1
[ "$bad" -eq 0 ] && echo "$(wc -l <"$scratch/exported") public names"
exit "$bad"
