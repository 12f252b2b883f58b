#!/usr/bin/env python3
"""Runs the rounds of run.sh and reports them. Standard library only; any Python 3.9 or later.

Rounds go A B C A B C ..., every run in a process of its own on the same core, so that a slow minute of the machine
hits all programs and not one of them.
"""

import argparse
import csv
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = {"matgl-1.1.3-dgl": "dgl", "matgl-4.1.2-pyg": "pyg"}
DATA_SETS = {"togo15": 1, "aflow_agl": 19}  # every n-th crystal, in the order of id_prop.csv
BATCH = 8
TIME_LIMIT = 900  # seconds for one process; a hang must end the run, not the night

FAVOURS = [
    "CIF files are read and graphs built before the timed part",
    "positions and image shifts in Angstrom are attached to the graphs beforehand; matgl's own training loop recomputes them every step",
    "matgl-4.1.2-pyg: edge indices are converted to int64 beforehand; matgl makes them int32 and PyTorch converts them at every use",
    "batches are collated once, before the timed part, and used again every epoch: no shuffling, batching or data loader is timed",
    "two warm-up epochs are run before the timed part",
    "no Lightning trainer, logging, metrics or checkpoint is timed",
]


SHARED = 1.05  # wall clock over CPU time of a one-thread run above which its core was visibly not its own


class Failed(Exception):
    pass


def call(command, what, core=None):
    """Runs a command and returns the JSON object that it prints."""
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True, timeout=TIME_LIMIT)
    except OSError as error:
        raise Failed(f"{what}: {error}")
    except subprocess.TimeoutExpired:
        raise Failed(f"{what}: not done after {TIME_LIMIT} s")
    if done.returncode != 0:
        said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
        raise Failed(f"{what}: exit status {done.returncode}\n{said}".rstrip())
    try:
        result = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"{what}: standard output is not one JSON object: {done.stdout[:200]!r}")
    if not isinstance(result, dict):
        raise Failed(f"{what}: standard output is not a JSON object")
    return result


def step_ms(report, what):
    """The median of `step.ms`, checked: a missing, zero or NaN time must not become a ratio."""
    try:
        ms = report["step"]["ms"]["median"]
    except (KeyError, TypeError):
        raise Failed(f"{what}: its JSON has no step.ms.median")
    if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not math.isfinite(ms) or ms <= 0:
        raise Failed(f"{what}: step.ms.median is {ms!r}")
    return float(ms)


def read_column(file):
    """The ids of id_prop.csv, in file order; its first line may be a header (no number in the second column)."""
    with open(file, newline="") as f:
        rows = [row for row in csv.reader(f) if len(row) >= 2]
    try:
        float(rows[0][1])
    except (IndexError, ValueError):
        rows = rows[1:]
    return [row[0] for row in rows]


def cpu_model():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return "unknown"


def kappatune_version(binary):
    try:
        done = subprocess.run([binary, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout.strip().splitlines() or [None])[0] if done.returncode == 0 else None


def write_json(file, value):
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_text(json.dumps(value, indent=1) + "\n")
    part.replace(file)  # no reader sees half a file


def peer_command(venvs, kind, data, ids, *rest):
    return [str(venvs / kind / "bin" / "python"), str(HERE / "step.py"), "--peer", kind, "--data", str(data),
            "--ids", str(ids), "--cache", str(venvs / "graphs"), "--batch", str(BATCH), *rest]


def choose_crystals(args, name, every, temporary):
    """Both peers build the graphs; they must agree on every crystal's atoms and edges, or different work would be timed.

    Returns the file with the candidates (the key of the peers' graph cache), the file with the crystals used (for
    kappatune), a description for the JSON, and the peers' versions.
    """
    data = args.data_root / name
    ids = read_column(data / "id_prop.csv")[::every]
    candidates = temporary / f"{name}-candidates.txt"
    candidates.write_text("".join(f"{i}\n" for i in ids))
    made = {}
    for program, kind in PEERS.items():
        print(f"{name}: graphs of {len(ids)} crystals for {program}", flush=True)
        made[program] = call(peer_command(args.venvs, kind, data, candidates, "--prepare"), f"{program} on {name}")
    first, *others = made.values()
    for program, report in made.items():
        if any(report[k] != first[k] for k in ("used", "left_out", "size")):
            raise Failed(f"{name}: the peers' graphs differ in crystals, atoms or edges ({' and '.join(made)})")
    if first["left_out"]:
        print(f"{name}: left out, no edge within 4 Angstrom: {', '.join(first['left_out'])}")
    used = temporary / f"{name}.txt"
    used.write_text("".join(f"{i}\n" for i in first["used"]))
    return candidates, used, {
        "every": every, "crystals": len(first["used"]), "left_out": first["left_out"],
        "atoms": sum(a for a, _ in first["size"]), "edges": sum(e for _, e in first["size"]),
        "batches": -(-len(first["used"]) // BATCH),
    }, {program: report["versions"] for program, report in made.items()}


def summarise(rounds, programs):
    """Over the rounds: each program's median, least and greatest ms a step, and the ratio to kappatune if it ran."""
    times = {p: [step_ms(r[p], p) for r in rounds] for p in programs}
    result = {"programs": {
        p: {"median": statistics.median(t), "min": min(t), "max": max(t)} for p, t in times.items()
    }}
    faster = min(PEERS, key=lambda p: result["programs"][p]["median"])
    result["faster_peer"] = faster
    if "kappatune" in times:
        each = [peer / ours for peer, ours in zip(times[faster], times["kappatune"])]
        result["ratio"] = {
            "value": result["programs"][faster]["median"] / result["programs"]["kappatune"]["median"],
            "min": min(each), "max": max(each), "rounds": each,
        }
    return result


def report(results):
    print(f"\n{'data set':<11} {'program':<16} {'ms a step':>10} {'min':>9} {'max':>9}")
    for name, result in results.items():
        for program, t in result["summary"]["programs"].items():
            print(f"{name:<11} {program:<16} {t['median']:>10.3f} {t['min']:>9.3f} {t['max']:>9.3f}")
    print("\nms a step: median over the rounds, then the least and the greatest round.")
    for name, result in results.items():
        ratio = result["summary"].get("ratio")
        if ratio:
            print(f"{name}: {result['summary']['faster_peer']} / kappatune = {ratio['value']:.2f}"
                  f" (single rounds {ratio['min']:.2f} to {ratio['max']:.2f})")
    shared = [f"{program} on {name}, round {number} ({one[program]['seconds'] / one[program]['cpu_seconds']:.2f})"
              for name, result in results.items() for number, one in enumerate(result["rounds"], start=1)
              for program in PEERS if one[program]["seconds"] > SHARED * one[program]["cpu_seconds"]]
    if shared:
        print("WARNING: something else used the core, do not quote these figures. Wall clock over CPU time: " + "; ".join(shared))
    if not any("ratio" in result["summary"] for result in results.values()):
        print("kappatune was not given (--kappatune), so there is no ratio.")


def run(args):
    programs = list(PEERS) + (["kappatune"] if args.kappatune else [])
    whole = {
        "what": "one training step (forward, loss, backward, Adam), ms; step.ms.median of a round is over epochs, each the mean of its steps",
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(), "core": args.core, "threads": 1, "batch": BATCH, "order": programs,
        "favourable_to_peers": FAVOURS, "versions": {}, "data_sets": {},
    }
    with tempfile.TemporaryDirectory(prefix="kappatune-peer-") as temporary:
        chosen = {}
        for name, every in DATA_SETS.items():  # all graphs first: no minute of timing is lost to a bad file
            candidates, used, description, versions = choose_crystals(args, name, every, Path(temporary))
            chosen[name] = candidates, used
            whole["versions"].update(versions)
            whole["data_sets"][name] = {**description, "rounds": []}
        if args.kappatune:
            whole["versions"]["kappatune"] = kappatune_version(args.kappatune)

        for name, (candidates, used) in chosen.items():
            data, result = args.data_root / name, whole["data_sets"][name]
            for number in range(1, args.rounds + 1):
                one = {}
                for program in programs:
                    what = f"{program} on {name}, round {number}"
                    load = os.getloadavg()[0]  # other work on the machine explains a slow round
                    if program == "kappatune":
                        command = [args.kappatune, "bench", "--data", str(data), "--ids", str(used),
                                   "--batch", str(BATCH), "--threads", "1", "--json", "-"]
                    else:
                        command = peer_command(args.venvs, PEERS[program], data, candidates, "--seconds", str(args.seconds))
                    one[program] = call(command, what, args.core)
                    ms = step_ms(one[program], what)
                    if program in PEERS and one[program]["crystals"] != result["crystals"]:
                        raise Failed(f"{what}: {one[program]['crystals']} crystals, expected {result['crystals']}")
                    one[program]["load_average_before"] = load
                    print(f"{name} round {number}/{args.rounds}: {program} {ms:.3f} ms a step", flush=True)
                result["rounds"].append(one)
            result["summary"] = summarise(result["rounds"], programs)
    report(whole["data_sets"])
    if args.json:
        write_json(args.json, whole)
        print(f"written: {args.json}")


def main():
    parser = argparse.ArgumentParser(description="Runs the rounds; run.sh installs the peers and calls this.")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--venvs", type=Path, required=True)
    parser.add_argument("--kappatune")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=7.0)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.rounds < 1 or not args.seconds > 0:
        parser.error("--rounds and --seconds must be positive")
    try:
        run(args)
    except Failed as error:
        sys.exit(f"bench/peer: {error}")
    except KeyboardInterrupt:
        sys.exit("bench/peer: interrupted")


if __name__ == "__main__":
    main()
