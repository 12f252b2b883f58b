#!/usr/bin/env bash
# demo.sh: installs what is missing, builds kappatune, predicts three crystals with a shipped model, fine-tunes the shipped AFLOW
# network on the 95 crystals of Togo15, fits the default recipe to them, and shows both scores side by side. A minute or
# two on two cores, packages apart. It needs nothing but this repository.
#
#   demo.sh [--program FILE] [--out FOLDER]
#
#   --program FILE   a kappatune that is built already: no packages, no build
#   --out FOLDER     where the two runs go, not there yet (default: runs/demo, whose former content is kept as runs/demo.previous)
set -euo pipefail
cd "$(dirname "$0")"

program=
out=runs/demo
while [ $# -gt 0 ]; do
    case $1 in
    --program) program=${2:?--program needs a file} && shift 2 ;;
    --out) out=${2:?--out needs a folder} && shift 2 ;;
    *)
        echo "usage: ./demo.sh [--program FILE] [--out FOLDER]" >&2
        exit 2
        ;;
    esac
done

step() {
    printf '\n== %s\n' "$*"
}

if [ -z "$program" ]; then
    step "Packages"
    tools/install-packages.sh build

    log=build/demo-build.log
    step "Building into build/release, silently: $log tells how far it is"
    mkdir -p build
    if ! { cmake --preset release -DKAPPATUNE_TESTS=OFF >"$log" 2>&1 &&
        cmake --build build/release --parallel "$(nproc)" >>"$log" 2>&1; }; then
        tail -n 40 "$log"
        echo "The build failed; all it said is in $log." >&2
        exit 1
    fi
    program=build/release/bin/kappatune
    echo "Built $program."
fi

if [ "$out" = runs/demo ] && [ -e "$out" ]; then
    rm -rf "$out.previous"
    mv "$out" "$out.previous"
    echo "The former demo's runs are now in $out.previous."
fi
mkdir -p "$out"

step "Predicting three crystals with a shipped model (models/togo15-hh143), kappa in W/(m K)"
"$program" predict models/togo15-hh143 datasets/examples

step "The paper's way: fine-tuning the shipped AFLOW network (models/aflow-agl) on Togo15, nine folds, 60 epochs"
"$program" train --data datasets/togo15.csv --from models/aflow-agl --epochs 60 --out "$out/network"

step "The default recipe: a Gaussian process on physical features, on the same nine folds"
"$program" train recipes/first-principles.json --data datasets/togo15.csv --out "$out/process"

step "Side by side, on the crystals that each fold has not seen"
"$program" evaluate "$out/network" "$out/process" --data datasets/togo15.csv --quiet

step "Done in $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "The runs are in $out: metrics.json has every fold's scores, folds/ the nine trained models. Predict your own crystals with"
echo "    $program predict $out/process YOUR.cif"
