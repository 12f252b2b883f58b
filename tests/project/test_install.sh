#!/bin/sh
# test_install.sh CMAKE BUILD_DIR: installs the build to a prefix and works with what is there, from an empty folder and with an empty
# environment; moves the prefix elsewhere and does so again, to the same bits; and takes all of it away by install_manifest.txt.
set -eu
cmake=${1:?usage: test_install.sh CMAKE BUILD_DIR}
build=${2:?}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

"$cmake" --install "$build" --prefix "$scratch/first" >/dev/null
cp "$build/install_manifest.txt" "$scratch/manifest"
for file in bin/kappatune share/bash-completion/completions/kappatune share/kappatune/models/togo15/README.md share/kappatune/recipes/paper.json share/kappatune/datasets/togo15.csv \
    share/kappatune/datasets/examples/silicon.cif share/doc/kappatune/LICENSE share/doc/kappatune/README.md \
    share/doc/kappatune/docs/install.md include/kappatune/train.h; do
    [ -f "$scratch/first/$file" ] || fail "$file is not installed"
done
for library in libkappatune.so libkappatune.a; do
    [ -n "$(find "$scratch/first" -name "$library")" ] || fail "$library is not installed"
done
[ -z "$(find "$scratch/first" -type l ! -name '*.so*')" ] || fail "links are installed instead of what they show"
sh "$here/check_runpath.sh" "$build" "$scratch/first/bin" "$scratch/first/lib" || fail "the RUNPATH of what is installed"
runpath=$(readelf -d "$scratch/first/bin/kappatune" | sed -n 's/.*(RUNPATH).*\[\(.*\)\]$/\1/p' | tr ':' '\n' | head -n 1)
# shellcheck disable=SC2016
case $runpath in '$ORIGIN/../lib'*) ;; *) fail "the RUNPATH of the program is '$runpath'" ;; esac

# Predicts, scans, evaluates and trains by names alone. A script of its own, since `set -e` has no effect on the left of ||.
cat >"$scratch/work.sh" <<'EOF'
prefix=$1
kappatune() {
    env -i "$prefix/bin/kappatune" "$@"
}
mkdir "$2"
cd "$2"
cp "$prefix/share/kappatune/datasets/examples/silicon.cif" my.cif
kappatune predict togo15-hh143 my.cif --format csv >predicted.csv
kappatune scan models/togo15-hh143 my.cif --quiet
kappatune evaluate togo15 --data togo15 --csv --quiet >scores.csv
kappatune train first-principles --out run --folds 2 --quiet >/dev/null
kappatune train first-principles --out run --folds 2 --quiet --resume >/dev/null
kappatune train --data datasets/togo15.csv --from aflow-agl --folds 1 --epochs 1 --out network --quiet >/dev/null
kappatune predict run my.cif >/dev/null
if grep -r "$prefix" .; then exit 1; fi
EOF
works() {
    sh -eu "$scratch/work.sh" "$1" "$2" >"$2.said" 2>&1 || { cat "$2.said"; fail "in $1"; }
}
works "$scratch/first" "$scratch/before"
mv "$scratch/first" "$scratch/second"
works "$scratch/second" "$scratch/after"
diff -r -x lock -x log.jsonl "$scratch/before" "$scratch/after" || fail "a prefix that was moved gives other files"
grep -q '^my.cif,Si,8,103' "$scratch/after/predicted.csv" || fail "silicon is predicted otherwise: $(cat "$scratch/after/predicted.csv")"

# Uninstalling as docs/install.md has it leaves folders alone.
mv "$scratch/second" "$scratch/first"
xargs -d '\n' rm <"$scratch/manifest"
left=$(find "$scratch/first" ! -type d)
[ -z "$left" ] || fail "after uninstalling there is still $left"

[ "$failures" -eq 0 ] && echo "what is installed works, wherever it lies"
exit "$failures"
