#!/usr/bin/env python3
"""What kappatune costs as the work grows: crystals, atoms a crystal, folds, ranks.

usage: measure.py PROGRAM [--data AFLOW_FOLDER] [--model MODEL] [--rounds N] [--only PART[,PART]] [--json FILE]

Each figure is the median of N rounds (least to greatest); within a round all sizes take turns. Parts:

  scan      models/aflow-agl over once, 4 and 16 times the folder's CIFs: seconds and resident memory
  training  one epoch of one fold on one thread, on a sixteenth, a quarter and all of the crystals: seconds
  atoms     one prediction of a crystal of N atoms, silicon as a supercell, as it is and shaken so that no symmetry is left: milliseconds
  folds     one epoch of 1, 2, 4 and 9 folds on all processors: seconds
  ranks     the scan and nine folds under mpirun with 1 and 2 ranks of one thread each: seconds

Needs Python's standard library, and mpirun for `ranks`.
"""
import argparse
import csv
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = ("scan", "training", "atoms", "folds", "ranks")


def run(command, **options):
    """Seconds and the greatest resident memory of one of its processes, MB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    complaints = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in (0, 3):  # 3: some crystals were rejected
        raise SystemExit(f"{' '.join(map(str, command))}: {complaints.decode(errors='replace')}")
    return seconds, usage.ru_maxrss / 1024


def figure(values):
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def take_turns(rounds, tasks):
    """tasks: name -> function that returns numbers; medians of each number, by name."""
    found = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            found[name].append(task())
    return {name: [figure(column) for column in zip(*rows)] for name, rows in found.items()}


class Bench:
    def __init__(self, args, scratch):
        self.args, self.scratch, self.count = args, Path(scratch), 0

    def fresh(self):
        self.count += 1
        return str(self.scratch / f"out-{self.count}")

    def scan(self, sources, threads=None, launcher=()):
        out = self.fresh()
        command = [*launcher, self.args.program, "scan", self.args.model, *map(str, sources), "--out", out + ".csv", "--quiet"]
        result = run(command + (["--threads", str(threads)] if threads else []))
        os.remove(out + ".csv")
        return result

    def train(self, data, folds, threads, epochs=1, launcher=(), only=None):
        out = self.fresh()
        command = [*launcher, self.args.program, "train", "--data", str(data), "--from", "random", "--folds", str(folds), "--epochs", str(epochs),
                   "--threads", str(threads), "--quiet", "--out", out] + (["--fold", str(only)] if only else [])
        result = run(command)
        shutil.rmtree(out)
        return result

    def epoch(self, data, folds, threads, many=9):
        """What one epoch more takes, with its selection."""
        few = 1
        return ((self.train(data, folds, threads, many)[0] - self.train(data, folds, threads, few)[0]) / (many - few),)

    def subset(self, part):
        """Every part-th row of the folder as a data set of its own."""
        folder = self.scratch / f"part-{part}"
        if not folder.exists():
            folder.mkdir()
            with open(self.args.data / "id_prop.csv", newline="") as file:
                rows = [row for row in csv.reader(file) if (self.args.data / f"{row[0]}.cif").exists()][::part]
            with open(folder / "id_prop.csv", "w", newline="") as file:
                csv.writer(file).writerows(rows)
            for row in rows:
                os.symlink((self.args.data / f"{row[0]}.cif").resolve(), folder / f"{row[0]}.cif")
        return folder


def measure_scan(bench, rounds):
    tasks = {}
    for times in (1, 4, 16):
        tasks[f"{times} times"] = lambda times=times: bench.scan([bench.args.data] * times)
    return take_turns(rounds, tasks)


def measure_training(bench, rounds):
    return take_turns(rounds, {f"1/{part}": lambda part=part: bench.epoch(bench.subset(part), 1, 1, 1 + 4 * part) for part in (16, 4, 1)})


def supercell(path, n, shaken, copies):
    """Silicon n x n x n times its cubic cell of 8 atoms, as frames of one file: a scan of it is all prediction."""
    basis = [(0, 0, 0), (0, 2, 2), (2, 0, 2), (2, 2, 0), (1, 1, 1), (1, 3, 3), (3, 1, 3), (3, 3, 1)]
    a, draw = 5.431, random.Random(n)
    with open(path, "w") as file:
        for _ in range(copies):
            file.write(f'{8 * n**3}\nLattice="{a * n} 0 0 0 {a * n} 0 0 0 {a * n}" Properties=species:S:1:pos:R:3\n')
            for i in range(n**3):
                cell = (i // n // n, i // n % n, i % n)
                for site in basis:
                    x = [a * (c + s / 4) + (draw.uniform(-0.1, 0.1) if shaken else 0) for c, s in zip(cell, site)]
                    file.write(f"Si {x[0]:.6f} {x[1]:.6f} {x[2]:.6f}\n")


def measure_atoms(bench, rounds):
    tasks = {}
    for shaken in (False, True):
        for n, copies in ((1, 1000), (2, 200), (4, 10), (5, 4)):
            few, many = bench.scratch / f"si-{n}-{shaken}-few.extxyz", bench.scratch / f"si-{n}-{shaken}.extxyz"
            supercell(few, n, shaken, copies)
            supercell(many, n, shaken, 4 * copies)

            def task(few=few, many=many, copies=copies):
                return (1e3 * (bench.scan([many], 1)[0] - bench.scan([few], 1)[0]) / (3 * copies),)

            tasks[f"{8 * n**3} atoms, {'shaken' if shaken else 'symmetric'}"] = task
    return take_turns(rounds, tasks)


def measure_folds(bench, rounds):
    threads = os.cpu_count()
    return take_turns(rounds, {f"{folds} folds": lambda folds=folds: bench.epoch(bench.subset(4), folds, threads) for folds in (1, 2, 4, 9)})


def measure_ranks(bench, rounds):
    if not shutil.which("mpirun"):
        print("ranks: there is no mpirun", file=sys.stderr)
        return {}
    tasks = {}
    for ranks in (1, 2):
        launcher = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(ranks)]
        tasks[f"scan, {ranks} ranks"] = lambda launcher=launcher: (bench.scan([bench.args.data] * 4, 1, launcher)[0],)
        tasks[f"training, {ranks} ranks"] = lambda launcher=launcher: (bench.train(bench.subset(4), 9, 1, 4, launcher)[0],)
    tasks["scan, 2 threads"] = lambda: (bench.scan([bench.args.data] * 4, 2)[0],)
    tasks["training, 2 threads"] = lambda: (bench.train(bench.subset(4), 9, 2, 4)[0],)
    return take_turns(rounds, tasks)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--data", type=Path, default=Path("aflow"), help="AFLOW's folder (kappatune data fetch aflow --out aflow)")
    parser.add_argument("--model", default=str(HERE.parent.parent / "models/aflow-agl"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    args.data = args.data.resolve()
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(args, scratch)
        for part in args.only.split(","):
            found[part] = globals()[f"measure_{part}"](bench, args.rounds)
            for name, figures in found[part].items():
                print(f"{part}: {name}: " + ", ".join(f"{f['median']:.3g} ({f['least']:.3g} to {f['greatest']:.3g})" for f in figures), flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
