#!/usr/bin/env bash
# Trains the baselines on every split and prints their scores. See README.md beside this file.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'TEXT'
usage: bench/baselines/run.sh --data-root DIR [options]
  --data-root DIR      folder with togo15/ and hh143/, each with id_prop.csv and a CIF file a row
  --out DIR            predictions and scores go there (default: runs/baselines under the project's root)
  --venvs DIR          where the packages are installed (default: bench/baselines/venvs)
  --no-crabnet         only the methods of scikit-learn: no torch is installed
  --crabnet-all        CrabNet on all 54 splits and not only on nine
PYTHON names the interpreter that the environments are made with (default: python3.11, else python3).
TEXT
}

die() { echo "bench/baselines: $1" >&2; exit "${2:-1}"; }

data_root= out=$here/../../runs/baselines venvs=$here/venvs crabnet=yes crabnet_splits=nine
while [ $# -gt 0 ]; do
  case $1 in
    -h|--help) usage; exit 0 ;;
    --no-crabnet) crabnet=; shift ;;
    --crabnet-all) crabnet_splits=all; shift ;;
    --data-root|--out|--venvs)
      [ $# -ge 2 ] || { usage >&2; die "$1 wants a value" 2; }
      case $1 in
        --data-root) data_root=$2 ;;
        --out) out=$2 ;;
        --venvs) venvs=$2 ;;
      esac
      shift 2 ;;
    *) usage >&2; die "unknown argument: $1" 2 ;;
  esac
done

# Everything that can be wrong is looked at before the long installation.
[ -n "$data_root" ] || { usage >&2; die "name the folder of the data sets by --data-root" 2; }
for set in togo15 hh143; do
  [ -f "$data_root/$set/id_prop.csv" ] || die "no $set/id_prop.csv under $data_root (--data-root)"
done
python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
[ -n "$python" ] || die "no python3"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null ||
  die "the pinned versions are for CPython 3.11, and $python is not that (set PYTHON)"
mkdir -p "$out" "$venvs"

# An environment is complete when it holds a copy of the requirements it was made from: an interrupted or outdated
# installation is made anew.
install() {
  local name=$1 requirements=$here/requirements-$1.txt venv=$venvs/$1
  shift
  if cmp -s "$requirements" "$venv/installed-from.txt"; then return; fi
  echo "installing what $name needs: $(sed -n '/^$/q; /^[^#]/p' "$requirements" | tr '\n' ' ')"
  [ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] || die "$venv exists and is no virtual environment: not replacing it"
  rm -rf "$venv"
  "$python" -m venv "$venv" || die "could not make a virtual environment in $venv"
  nice "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" "$@" ||
    die "could not install what $name needs from $requirements"
  cp "$requirements" "$venv/installed-from.txt"
}

export OMP_NUM_THREADS=1
install gp
"$venvs/gp/bin/python" "$here/gp.py" --data-root "$data_root" --out "$out"
if [ -n "$crabnet" ]; then
  install crabnet --ignore-requires-python
  "$venvs/crabnet/bin/python" "$here/train_crabnet.py" --data-root "$data_root" --out "$out" --splits "$crabnet_splits"
fi
exec "$venvs/gp/bin/python" "$here/score.py" "$out"
