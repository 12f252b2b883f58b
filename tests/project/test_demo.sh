#!/bin/sh
# test_demo.sh ROOT PROGRAM: the demo runs through with this program and says what the README shows of it.
set -eu
root=${1:?usage: test_demo.sh ROOT PROGRAM}
program=${2:?usage: test_demo.sh ROOT PROGRAM}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cd "$root"
if ! bash ./demo.sh --program "$program" --out "$scratch/demo" >"$scratch/said" 2>&1; then
    cat "$scratch/said"
    exit 1
fi
failures=0
says() {
    if ! grep -qE -- "$1" "$scratch/said"; then
        echo "FAILED: the demo does not say '$1'"
        failures=1
    fi
}
says '^datasets/examples/silicon\.cif +Si +8 +[0-9.]+ .*[0-9]$'
says '^mean \(std\), last epoch  : MAPE 0\.[0-9]{3} '
says '^network +9  0\.[0-9]{3} '
says '^process +9  0\.[0-9]{3} '
says "kappatune predict $scratch/demo/process YOUR.cif"
# What the README shows of it, as far as every processor gives the same digits.
shown=$(sed -nE 's|^(datasets/examples/silicon.cif +Si +8 +[0-9]+)\..*|\1|p' README.md)
says "^${shown:-the README shows no silicon}\\."
if bash ./demo.sh --nonsense >"$scratch/said" 2>&1; then
    echo "FAILED: an unknown option is accepted"
    failures=1
fi
[ "$failures" -eq 0 ] && echo "the demo says what it should"
exit "$failures"
