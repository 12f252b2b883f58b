#!/bin/sh
# test_check_prose.sh: check_prose.sh passes long tables, code, formulas and links, and finds a long line of prose, also in a list.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
git init -q "$root"
long=$(printf 'word %.0s' $(seq 30))

# judged STATUS TEXT: the check's exit status for a file that holds TEXT.
judged() {
    printf '%s\n' "$2" >"$root/file.md"
    status=0
    sh "$here/check_prose.sh" "$root" >"$root/said" || status=$?
    if [ "$status" != "$1" ]; then
        echo "exit status $status where $1 was expected, for:"
        echo "$2"
        exit 1
    fi
}

judged 0 "short"
judged 1 "$long"
judged 1 "- $long"
judged 0 "| $long |"
judged 0 "# $long"
judged 0 "\`\`\`
$long
\`\`\`"
judged 1 "\`\`\`
code
\`\`\`
$long"
judged 0 "\$\$ $long
$long \$\$"
judged 0 "$(printf 'x%.0s' $(seq 130))"
judged 0 "$(printf 'Å%.0s' $(seq 70)) and two more"
