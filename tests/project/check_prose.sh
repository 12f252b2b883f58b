#!/bin/sh
# check_prose.sh ROOT: no line of prose in Markdown is longer than 120 characters. Tables, code, formulas, headings, and a single
# word or link that is longer by itself, may be, and the cards in models/, which are generated. Prints one line a
# violation; exit status 1 when there is any, 77 where ROOT is no git checkout.
set -eu
root=${1:?usage: check_prose.sh ROOT}
cd "$root"
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo "no git checkout: skipped"; exit 77; }

list=$(mktemp)
trap 'rm -f "$list"' EXIT
git -c core.quotePath=off ls-files -co --exclude-standard '*.md' | grep -v '^models/' >"$list"
bad=0
while IFS= read -r file; do
    [ -f "$file" ] || continue
    # An empty line in place of each that may be long keeps the numbers.
    awk '
        /^ *```/ { code = !code; print ""; next }
        code { print ""; next }
        math { if (/\$\$/) math = 0; print ""; next }
        /^ *\$\$/ { if (gsub(/\$\$/, "&") % 2) math = 1; print ""; next }
        /^ *[|#<>]/ || /^ *!\[/ || /^\[[^]]*\]: / { print ""; next }
        !/^ *([-*+]|[0-9]+[.)])? *[^ ].* / { print ""; next }
        { print }' "$file" |
        LC_ALL=C.UTF-8 grep -nE '^.{121,}$' | sed "s|^\([0-9]*\):.*|$file:\1: longer than 120 characters|" | grep . && bad=1
done <"$list"
exit "$bad"
