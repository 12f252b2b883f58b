#!/usr/bin/env bash
# demo.sh: installs what is missing, builds kappatune, fine-tunes nine folds on the 95 crystals of Togo15, predicts three
# crystals that are not among them, and says where the results lie. Under three minutes on two cores, building included.
#
# The training starts from MEGNet's formation-energy weights: the folder or file that KAPPATUNE_WEIGHTS names, else those
# beside the project, else from random weights.
set -euo pipefail
cd "$(dirname "$0")"

step() {
    printf '\n== %s\n' "$*"
}

step "Packages"
tools/install-packages.sh build

step "Building into build/release"
log=build/demo-build.log
mkdir -p build
if ! { cmake --preset release -DKAPPATUNE_TESTS=OFF >"$log" 2>&1 &&
    cmake --build build/release --parallel "$(nproc)" --target kappatune >>"$log" 2>&1; }; then
    tail -n 40 "$log"
    echo "The build failed; all it said is in $log." >&2
    exit 1
fi
program=build/release/bin/kappatune
echo "Built $program."

beside=../shared/weights/megnet-mp-2018.6.1-eform
if [ -n "${KAPPATUNE_WEIGHTS-}" ]; then
    weights=$KAPPATUNE_WEIGHTS
    [ -e "$weights" ] || { echo "KAPPATUNE_WEIGHTS names $weights, which does not exist." >&2; exit 1; }
    echo "Starting from the weights in $weights."
elif [ -e "$beside" ]; then
    weights=$beside
    echo "Starting from MEGNet's formation-energy weights in $weights."
else
    weights=random
    echo "No pretrained weights here: starting from random ones, which costs accuracy (set KAPPATUNE_WEIGHTS to use yours)."
fi

run=runs/demo
mkdir -p runs
if [ -e "$run" ]; then
    rm -rf "$run.previous"
    mv "$run" "$run.previous"
    echo "The former demo run is now $run.previous."
fi

step "Training nine folds on Togo15"
"$program" train --data datasets/togo15.csv --from "$weights" --folds 9 --epochs 300 --out "$run"

step "Predicting crystals that the model has never seen, kappa in W/(m K)"
"$program" predict "$run" datasets/examples/*.cif

step "Done in $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "The run is in $run: metrics.json holds every fold's scores, epochs.csv the course of the training,"
echo "folds/ the nine trained models. Predict your own crystals with"
echo "    $program predict $run YOUR.cif"
