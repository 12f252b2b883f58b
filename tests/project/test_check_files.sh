#!/bin/sh
# Shows that check_files.sh accepts a clean repository and refuses each thing it looks for.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

fresh() {
    cd "$scratch"
    rm -rf "$scratch/tree"
    git init -q "$scratch/tree"
    cd "$scratch/tree"
    echo 'cmake --install build --prefix "$HOME/local"; ls ../shared/data /usr/include https://example.org/home/page' >notes.txt
}

# judged NAME STATUS TEXT: check_files.sh leaves this status and says TEXT.
judged() {
    status=0
    sh "$here/check_files.sh" "$scratch/tree" >"$scratch/said" || status=$?
    if [ "$status" -ne "$2" ] || { [ -n "$3" ] && ! grep -qF -- "$3" "$scratch/said"; } ||
        { [ -z "$3" ] && [ -s "$scratch/said" ]; }; then
        echo "FAILED: $1: status $status, wanted $2 and '$3', got:"
        cat "$scratch/said"
        failures=$((failures + 1))
    fi
}

fresh
judged "a clean tree" 0 ""
# The strings are put together here, so that this file itself stays clean.
fresh; printf 'data = "/%s/someone/data"\n' home >a.py; git add a.py
judged "a home folder" 1 "a.py:1:"
fresh; printf 'x\ncd /%s/main\n' work >b.sh
judged "a work folder in a file not yet added" 1 "b.sh:2:"
fresh; printf 'http://deb.%s.org/debian\n' debian >c.txt; git add c.txt
judged "a package host" 1 "c.txt:1:"
fresh; printf 'https://files.%s.org/x\n' pythonhosted >d.txt; git add d.txt
judged "a wheel host" 1 "d.txt:1:"
fresh; head -c 4194305 /dev/zero >big.bin; git add big.bin
judged "a large file" 1 "big.bin: 4194305 bytes"
fresh; head -c 4194304 /dev/zero >big.bin; git add big.bin
judged "a file just small enough" 0 ""
fresh; rm -rf .git
if ! GIT_CEILING_DIRECTORIES=$scratch git -C "$scratch/tree" rev-parse 2>/dev/null; then
    judged "no git checkout" 77 "skipped"
fi

[ "$failures" -eq 0 ] && echo "all trees judged rightly"
exit "$failures"
