#!/usr/bin/env bash
# build.sh [NAME...]: trains the models of this folder by the recipes in recipes/ and exports them here. NAME: aflow-agl (an hour on
# two cores), togo15, togo15-hh143 (seconds); all of them without a name.
#
# togo15 and hh143 are shipped; aflow-agl needs what these two commands download into the repository's folder, once:
#
#   kappatune data fetch aflow --out aflow
#   kappatune weights fetch megnet-eform
#
# Runs lie in runs/models/NAME. A finished one is exported as it is, one that was stopped goes on. KAPPATUNE names the program
# (default: build/release/bin/kappatune), AFLOW the data set and WEIGHTS the weights, where they lie elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${KAPPATUNE-build/release/bin/kappatune}
[ -x "$program" ] || { echo "build.sh: $program is missing: cmake --preset release && cmake --build --preset release" >&2; exit 1; }

# train NAME RECIPE [OPTION...]
train() {
    local run=runs/models/$1 recipe=$2 status=0
    shift 2
    [ ! -e "$run/metrics.json" ] || return 0
    "$program" train "$recipe" --out "$run" --resume "$@" || status=$?
    # 3: rows were rejected, and named; AFLOW has six crystals whose atoms are alone
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"
}

# hand_on NAME [OPTION...]
hand_on() {
    local name=$1
    shift
    "$program" weights export "runs/models/$name" --out "models/$name" --force --licence "BSD 3-Clause, as kappatune itself" "$@"
}

[ $# -gt 0 ] || set -- aflow-agl togo15 togo15-hh143
for name in "$@"; do
    case $name in
    aflow-agl)
        train "$name" recipes/aflow.json --data "${AFLOW-aflow}" --from "${WEIGHTS-megnet-eform.safetensors}"
        hand_on "$name" --half
        ;;
    togo15) train "$name" recipes/first-principles.json && hand_on "$name" ;;
    togo15-hh143) train "$name" recipes/production.json && hand_on "$name" ;;
    *)
        echo "usage: models/build.sh [aflow-agl] [togo15] [togo15-hh143]" >&2
        exit 2
        ;;
    esac
done
