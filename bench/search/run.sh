#!/bin/sh
# The search for a recipe: every recipe of recipes/ on 54 splits of a data set, then one table, paired.
#
#   bench/search/run.sh [--data DATA]... [--program PATH] [--out DIR] [--threads N]
#                       [--reference NAME] [--baselines PREDICTIONS.csv] [RECIPE...]
#
# From the project's root. Finished runs are not trained again. --data can be repeated; default: the shipped togo15 and hh143.
# Recipes that start from formation energies need `kappatune weights fetch megnet-eform` first. The
# baselines' predictions are what bench/baselines/run.sh writes; a reference can be a method of theirs ("baseline gp-matern").
set -eu
program=build/release/bin/kappatune out=build/search threads=$(nproc) data= reference=gp-plain-matern baselines=
while [ $# -gt 0 ]; do
  case $1 in
    --data) data="$data $2"; shift 2 ;;
    --program) program=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --threads) threads=$2; shift 2 ;;
    --reference) reference=$2; shift 2 ;;
    --baselines) baselines=$2; shift 2 ;;
    -*) echo "run.sh: unknown option $1" >&2; exit 2 ;;
    *) break ;;
  esac
done
[ -n "$data" ] || data="togo15 hh143"
[ $# -gt 0 ] || set -- bench/search/recipes/*.json
for set in $data; do
  for recipe in "$@"; do
    run=$out/$(basename "$set")/$(basename "$recipe" .json)
    if [ ! -e "$run/metrics.json" ]; then
      echo "$run"
      "$program" train "$recipe" --data "$set" --folds 54 --threads "$threads" --out "$run" --resume --quiet >/dev/null
    fi
  done
  python3 bench/search/table.py "$out/$(basename "$set")" "$reference" ${baselines:+"$baselines"}
done
