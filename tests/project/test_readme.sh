#!/bin/sh
# test_readme.sh ROOT PROGRAM: runs every command of the README's "Use it" that needs no download, in an empty folder, on data of a user's own.
set -eu
root=${1:?usage: test_readme.sh ROOT PROGRAM}
program=${2:?usage: test_readme.sh ROOT PROGRAM}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What a user brings: a crystal, a folder of crystals, a data set, a column of one's own, matgl's weights; the program on PATH.
mkdir "$scratch/bin" "$scratch/work"
ln -s "$program" "$scratch/bin/kappatune"
PATH=$scratch/bin:$PATH
export PATH OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none
cp "$root/datasets/examples/silicon.cif" "$scratch/work/crystal.cif"
cp -r "$root/tests/fixtures/data/hh143" "$scratch/work/crystals"
cp -r "$root/tests/fixtures/data/hh143" "$scratch/work/mine"
cp "$root"/tests/fixtures/weights/*/state.pt "$root"/tests/fixtures/weights/*/model.json "$scratch/work"
(cd "$scratch/work" && ls crystals | sed -n 's/\.cif$//p' | awk 'BEGIN { print "id,gap" } { print $1 "," NR / 10 }' >gaps.csv)

# The commands, with the words in capitals replaced by what is there. What goes on for an hour is told to be short.
sed -n '/^## Use it/,/^Every command/p' "$root/README.md" | grep -E '^(kappatune|mpirun)' | sed -E '
    s/ *#.*//
    s/ DIR\.\.\./ mine/; s/--data DIR/--data mine/; s/check DIR/check mine/
    s/scan( +)MODEL FOLDER_OR_ARCHIVE/scan togo15-hh143 crystals/; s/scan MODEL FOLDER --out kappa.csv/scan togo15 crystals --out ranks.csv/
    s/predict W /predict megnet.safetensors /; s/RECIPE --slurm/first-principles --slurm --dry-run/; s/status( +)RUN/status runs\/mine/
    s/(bench .*)/\1 --seconds 1/; s/(--from aflow-agl .*)/\1 --epochs 2 --folds 2/
    s/mpirun -n 4/mpirun -n 2/
    ' >"$scratch/commands"
failures=0 ran=0 left=0

# run COMMAND: exit status 0, or 3, as some rows of what the README shows may be rejected.
run() {
    status=0
    (cd "$scratch/work" && sh -c "$1" </dev/null >"$scratch/said" 2>&1) || status=$?
    if [ "$status" -ne 0 ]; then
        echo "FAILED ($status): $1"
        cat "$scratch/said"
        failures=$((failures + 1))
    fi
    ran=$((ran + 1))
}
# Weights are imported before they are used.
grep 'weights import' "$scratch/commands" >"$scratch/first"
grep -v 'weights import' "$scratch/commands" >"$scratch/then"
while read -r command; do
    case $command in
    *fetch* | *reproduce*) left=$((left + 1)) ;; # need AFLOW's crystals and MEGNet's weights from the network
    mpirun*) if command -v mpirun >/dev/null; then run "$command"; fi ;;
    *) run "$command" ;;
    esac
done <<END
$(cat "$scratch/first" "$scratch/then")
END
[ "$ran" -ge 15 ] || { echo "FAILED: the README has $ran commands only"; failures=$((failures + 1)); }
[ "$failures" -eq 0 ] && echo "$ran of the README's commands ran, $left need a download"
exit "$failures"
