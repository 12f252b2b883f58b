#!/usr/bin/env bash
# gpu.sh [--aflow DIR] [--built FOLDER] [--quick] [--stage] [--seconds N] [--limit N] [--out FOLDER]: on a machine with an NVIDIA GPU,
# builds kappatune, runs the GPU tests, times training steps, and runs the kernels' tests under compute-sanitizer's four tools. Leaves
# FOLDER/gpu.json and FOLDER/gpu.log (default: bench/results), also when it is stopped: then what was done by that time.
#
#   --aflow DIR       AFLOW's data set (default: aflow, as `kappatune data fetch aflow --out aflow` leaves it); where there is none, only
#                     Togo15 is timed. The training tests run where KAPPATUNE_TEST_DATA names the folder of their data
#   --built FOLDER    takes the programs from there, built elsewhere as below, for a machine without what a build needs
#   --quick           without compute-sanitizer
#   --stage           also trains the whole AFLOW stage, recipes/aflow.json, which takes minutes and MEGNet's weights (`kappatune weights
#                     fetch megnet-eform`)
#   --seconds N       how long each step is timed for (default: 5)
#   --limit N         seconds that each of compute-sanitizer's tools may take (default: no limit)
#
# Exit status: 0 all passed, 1 something failed (the JSON and the log say what), 2 wrong usage.
set -uo pipefail
cd "$(dirname "$0")/.."

usage="usage: bench/gpu.sh [--aflow DIR] [--built FOLDER] [--quick] [--stage] [--seconds N] [--limit N] [--out FOLDER]"
aflow=aflow out=bench/results quick=no stage=no built= seconds=5 limit=0
while [ $# -gt 0 ]; do
    case $1 in
    --aflow | --out | --built | --seconds | --limit)
        [ $# -ge 2 ] || { echo "gpu.sh: $1 wants a value" >&2; exit 2; }
        case $1 in
        --out) out=$2 ;;
        --built) built=$2 ;;
        --seconds) seconds=$2 ;;
        --limit) limit=$2 ;;
        *) aflow=$2 ;;
        esac
        shift 2
        ;;
    --quick) quick=yes; shift ;;
    --stage) stage=yes; shift ;;
    *) echo "$usage" >&2; exit 2 ;;
    esac
done
command -v nvidia-smi >/dev/null && nvidia-smi -L | grep -q GPU || {
    echo "gpu.sh: no GPU here: nvidia-smi lists none" >&2
    exit 1
}
mkdir -p "$out"
log=$out/gpu.log
: >"$log"

note() { printf '\n== %s\n' "$*" | tee -a "$log"; }

programs=(gpu_operations)
with_data=(gpu_network gpu_optimiser gpu_batch_independence gpu_training gpu_replicas)
if [ -z "$built" ]; then
    built=build/gpu
    note build
    tools/install-packages.sh build test >>"$log" 2>&1
    if ! { cmake -S . -B "$built" -G Ninja -DCMAKE_BUILD_TYPE=Release -DKAPPATUNE_CUDA=ON >>"$log" 2>&1 &&
        cmake --build "$built" --target kappatune "${programs[@]}" "${with_data[@]}" >>"$log" 2>&1; }; then
        tail -n 30 "$log" >&2
        echo "gpu.sh: the build failed" >&2
        exit 1
    fi
fi
bin=$built/bin
tests=$built/tests/cuda_emulator
if [ -d "${KAPPATUNE_TEST_DATA-}" ]; then
    programs+=("${with_data[@]}")
fi

results= figures= stages= failed=0

# write_results: the JSON of all that is known.
write_results() {
    local gpu
    gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -n 1)
    printf '{"gpu": "%s", "date": "%s", "commit": "%s", "tests": [%s], "bench": [%s], "stages": [%s]}\n' "$gpu" \
        "$(date -u +%FT%TZ)" "$(git rev-parse --short HEAD 2>/dev/null)" "$results" "$figures" "$stages" >"$out/gpu.json"
}
trap write_results EXIT
trap 'exit 1' INT TERM

# check NAME COMMAND...: runs it, and keeps whether it passed and how long it took.
check() {
    local name=$1 started=$SECONDS status=passed
    shift
    note "$name"
    "$@" >>"$log" 2>&1 || {
        [ $? -eq 124 ] && status="stopped at the limit" || status=failed
        failed=$((failed + 1))
    }
    echo "$status" | tee -a "$log"
    results+="${results:+, }{\"name\": \"$name\", \"result\": \"$status\", \"seconds\": $((SECONDS - started))}"
}
for program in "${programs[@]}"; do
    check "$program" "$tests/$program"
done

# measure SET DEVICE [OPTION...]: one JSON object of `kappatune bench`.
measure() {
    local set=$1 device=$2 file
    shift 2
    note "bench $set $device"
    file=$(mktemp)
    if "$bin/kappatune" bench --data "$set" --device "$device" --json "$file" "$@" >>"$log" 2>&1; then
        figures+="${figures:+, }$(cat "$file")"
        cat "$file" >>"$log"
    else
        failed=$((failed + 1))
    fi
    rm -f "$file"
}
sets=(datasets/togo15.csv)
[ -d "$aflow" ] && sets+=("$aflow")
for set in "${sets[@]}"; do
    for device in cuda cuda-cublas cuda-cudnn cuda-auto; do
        measure "$set" "$device" --threads 9 --seconds "$seconds"
        measure "$set" "$device" --threads 36 --seconds "$seconds"
    done
    measure "$set" cpu --threads 1 --seconds "$seconds"
done

if [ "$stage" = yes ]; then
    note "the AFLOW stage, $(grep -o '"epochs": [0-9]*' recipes/aflow.json)"
    run=$(mktemp -d)
    started=$(date +%s.%N)
    # 3: done, with some rows rejected
    if "$bin/kappatune" train recipes/aflow.json --data "$aflow" --device cuda --quiet --out "$run" >>"$log" 2>&1 || [ $? -eq 3 ]; then
        stages=$(awk -v from="$started" -v to="$(date +%s.%N)" 'BEGIN { printf "{\"recipe\": \"aflow\", \"seconds\": %.1f}", to - from }')
        echo "$stages" | tee -a "$log"
    else
        failed=$((failed + 1))
    fi
    rm -rf "$run"
fi

if [ "$quick" = no ] && command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck synccheck; do
        check "gpu_operations under $tool" timeout "$limit" compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests/gpu_operations"
    done
fi

note "$out/gpu.json and $log; $failed failed"
[ "$failed" -eq 0 ]
