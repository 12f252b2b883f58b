#!/usr/bin/env bash
# Times the same training step in two peers and, if its binary is given, in kappatune. See README.md beside this file.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'END'
usage: bench/peer/run.sh --data-root DIR [options]
  --kappatune FILE   the kappatune program; without it only the peers are timed
  --data-root DIR    folder with togo15/ and aflow_agl/, each with id_prop.csv and a CIF file a row
                     (the second by: kappatune data fetch aflow --out DIR/aflow_agl)
  --venvs DIR        where the peers are installed and their graphs kept (default: bench/peer/venvs)
  --rounds N         rounds of every program on every data set (default: 5)
  --seconds S        a peer's timed part lasts at least this long (default: 7)
  --core N           the core that every program is pinned to (default: 0)
  --json FILE        write all rounds, versions, CPU and date there
PYTHON names the interpreter that the environments are made with (default: python3.11, else python3).
END
}

die() { echo "bench/peer: $1" >&2; exit "${2:-1}"; }

kappatune= data_root= venvs=$here/venvs rounds=5 seconds=7 core=0 json=
while [ $# -gt 0 ]; do
  case $1 in
    -h|--help) usage; exit 0 ;;
    --kappatune|--data-root|--venvs|--rounds|--seconds|--core|--json)
      [ $# -ge 2 ] || { usage >&2; die "$1 wants a value" 2; }
      case $1 in
        --kappatune) kappatune=$2 ;;
        --data-root) data_root=$2 ;;
        --venvs) venvs=$2 ;;
        --rounds) rounds=$2 ;;
        --seconds) seconds=$2 ;;
        --core) core=$2 ;;
        --json) json=$2 ;;
      esac
      shift 2 ;;
    *) usage >&2; die "unknown argument: $1" 2 ;;
  esac
done

# Everything that can be wrong is looked at before the long installation.
[ -n "$data_root" ] || { usage >&2; die "name the folder of the data sets by --data-root" 2; }
for set in togo15 aflow_agl; do
  [ -f "$data_root/$set/id_prop.csv" ] || die "no $set/id_prop.csv under $data_root (--data-root)"
done
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "--rounds wants a positive whole number, not '$rounds'" 2
command -v taskset >/dev/null || die "taskset is not installed (package util-linux)"
taskset -c "$core" true 2>/dev/null || die "cannot run on core '$core' (--core)"
if [ -n "$kappatune" ]; then
  [ -f "$kappatune" ] && [ -x "$kappatune" ] || die "$kappatune is not a program that can be run (--kappatune)"
  kappatune=$(cd "$(dirname "$kappatune")" && pwd)/$(basename "$kappatune")
fi
if [ -n "$json" ]; then
  [ -d "$(dirname "$json")" ] || die "the folder of $json does not exist (--json)"
fi
python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
[ -n "$python" ] || die "no python3"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null ||
  die "the pinned versions are for CPython 3.11, and $python is not that (set PYTHON)"

# An environment is complete when it holds a copy of the requirements it was made from: an interrupted or outdated
# installation is made anew.
install_peer() {
  local name=$1 kind=$2 requirements=$here/requirements-$2.txt venv=$venvs/$2
  if cmp -s "$requirements" "$venv/installed-from.txt"; then return; fi
  echo "installing $name: $(sed -n '/^$/q; /^[^#]/p' "$requirements" | tr '\n' ' ')"
  [ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] || die "$venv exists and is no virtual environment: not replacing it"
  rm -rf "$venv"
  "$python" -m venv "$venv" || die "could not make a virtual environment in $venv"
  nice "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" ||
    die "could not install $name from $requirements"
  cp "$requirements" "$venv/installed-from.txt"
}
mkdir -p "$venvs"
install_peer matgl-1.1.3-dgl dgl
install_peer matgl-4.1.2-pyg pyg

exec "$python" "$here/rounds.py" --data-root "$data_root" --venvs "$venvs" --rounds "$rounds" --seconds "$seconds" \
  --core "$core" ${kappatune:+--kappatune "$kappatune"} ${json:+--json "$json"}
