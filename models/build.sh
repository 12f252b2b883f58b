#!/usr/bin/env bash
# build.sh [NAME...]: trains the models of this folder by the recipes in recipes/, from ../shared/data and ../shared/weights, and
# exports them here. NAME: aflow-agl (an hour on two cores), togo15, togo15-hh143 (seconds); all of them without a name.
#
# Runs lie in runs/models/NAME. A finished one is exported as it is, one that was stopped goes on. KAPPATUNE names the program
# (default: build/release/bin/kappatune).
set -euo pipefail
cd "$(dirname "$0")/.."

program=${KAPPATUNE-build/release/bin/kappatune}
[ -x "$program" ] || { echo "build.sh: $program is missing: cmake --preset release && cmake --build --preset release" >&2; exit 1; }

# model NAME RECIPE [EXPORT-OPTION...]
model() {
    local name=$1 recipe=$2 run=runs/models/$1 status=0
    shift 2
    if [ ! -e "$run/metrics.json" ]; then
        "$program" train "$recipe" --out "$run" --resume || status=$?
        # 3: rows were rejected, and named; AFLOW has six crystals whose atoms are alone
        [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"
    fi
    "$program" weights export "$run" --out "models/$name" --force --licence "BSD 3-Clause, as kappatune itself" "$@"
}

[ $# -gt 0 ] || set -- aflow-agl togo15 togo15-hh143
for name in "$@"; do
    case $name in
    aflow-agl) model "$name" recipes/aflow.json --half ;;
    togo15) model "$name" recipes/first-principles.json ;;
    togo15-hh143) model "$name" recipes/production.json ;;
    *)
        echo "usage: models/build.sh [aflow-agl] [togo15] [togo15-hh143]" >&2
        exit 2
        ;;
    esac
done
