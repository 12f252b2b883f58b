#!/usr/bin/env python3
"""How often the 90 % interval of `kappatune predict` holds for crystals that no member has seen, and what distance and warnings tell.

usage: measure.py PROGRAM RECIPE DATA [DATA] [--repeats N] [--keep FOLDER]

Each repeat shuffles each data set (a folder with id_prop.csv), cuts it in five, and five times trains RECIPE on four parts, all sets
together, and predicts the fifth, so that every crystal is predicted by nine members, none of which was trained on it. Prints one Markdown
row a set, mean over the repeats: coverage, median width as a factor (high / low), coverage where the model warned and where it didn't, the
rank correlation of distance, and of the members' spread, with the absolute error of ln kappa. Needs Python's standard library alone.
"""
import argparse
import csv
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile

PARTS = 5


def read_rows(folder):
    with open(os.path.join(folder, "id_prop.csv"), newline="") as file:
        rows = [(row[0].strip(), row[1].strip()) for row in csv.reader(file) if len(row) > 1]
    return [row for row in rows if os.path.exists(os.path.join(folder, row[0] + ".cif"))]


def write_set(folder, source, rows):
    os.makedirs(folder)
    with open(os.path.join(folder, "id_prop.csv"), "w", newline="") as file:
        csv.writer(file).writerows(rows)
    for name, _ in rows:
        os.symlink(os.path.abspath(os.path.join(source, name + ".cif")), os.path.join(folder, name + ".cif"))


def spearman(x, y):
    def ranks(values):
        order = sorted(range(len(values)), key=values.__getitem__)
        rank = [0.0] * len(values)
        first = 0
        while first < len(order):
            end = first
            while end < len(order) and values[order[end]] == values[order[first]]:
                end += 1
            for i in order[first:end]:
                rank[i] = (first + end - 1) / 2
            first = end
        return rank

    return statistics.correlation(ranks(x), ranks(y))


def one_part(args, part, shuffled, scratch):
    """Predictions of the crystals of a part, as (set, kappa, row)."""
    training, asked = [], []
    for source, rows in shuffled.items():
        name = os.path.basename(source.rstrip("/"))
        write_set(os.path.join(scratch, "train", name), source, [r for i, r in enumerate(rows) if i % PARTS != part])
        held = [r for i, r in enumerate(rows) if i % PARTS == part]
        write_set(os.path.join(scratch, "held", name), source, held)
        training += ["--data", os.path.join(scratch, "train", name)]
        asked += [(name, float(kappa), os.path.join(scratch, "held", name, i + ".cif")) for i, kappa in held]
    run = os.path.join(scratch, "run")
    subprocess.run([args.program, "train", args.recipe, "--out", run, "--quiet"] + training, check=True, stdout=subprocess.DEVNULL)
    said = subprocess.run([args.program, "predict", run, "--format", "csv"] + [a[2] for a in asked], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    rows = {row["file"]: row for row in csv.DictReader(said.splitlines())}
    return [(name, kappa, rows[file]) for name, kappa, file in asked]


def summarise(judged):
    inside = [float(r["kappa_low_90"]) <= k <= float(r["kappa_high_90"]) for k, r in judged]
    warned = [bool(r["warnings"]) for _, r in judged]
    error = [abs(math.log(k / max(float(r["kappa_mean"]), 0.01))) for k, r in judged]
    spread = [float(r["kappa_std"]) / max(float(r["kappa_mean"]), 0.01) for _, r in judged]

    def part(of):
        kept = [i for i, w in zip(inside, warned) if w == of]
        return sum(kept) / len(kept) if kept else math.nan

    width = [float(r["kappa_high_90"]) / float(r["kappa_low_90"]) for _, r in judged]
    return {"coverage": sum(inside) / len(inside), "width": statistics.median(width), "warned": sum(warned) / len(warned),
            "coverage_warned": part(True), "coverage_clear": part(False),
            "distance": spearman([float(r["distance"]) for _, r in judged], error), "spread": spearman(spread, error),
            "error_warned": statistics.median([e for e, w in zip(error, warned) if w] or [math.nan]),
            "error_clear": statistics.median([e for e, w in zip(error, warned) if not w])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("recipe")
    parser.add_argument("data", nargs="+")
    parser.add_argument("--repeats", type=int, default=4)
    args = parser.parse_args()
    found = {}
    for repeat in range(args.repeats):
        judged = {}
        shuffled = {source: random.Random(repeat).sample(rows, len(rows)) for source in args.data for rows in [read_rows(source)]}
        for part in range(PARTS):
            with tempfile.TemporaryDirectory() as scratch:
                for name, kappa, row in one_part(args, part, shuffled, scratch):
                    judged.setdefault(name, []).append((kappa, row))
        for name, rows in judged.items():
            found.setdefault(name, []).append(summarise(rows))
    for name, repeats in found.items():
        mean = {key: statistics.fmean([r[key] for r in repeats if not math.isnan(r[key])] or [math.nan]) for key in repeats[0]}
        sd = statistics.pstdev(r["coverage"] for r in repeats)
        print(f"| {name} | {100 * mean['coverage']:.1f} % ({100 * sd:.1f}) | {mean['width']:.2f} | {100 * mean['warned']:.0f} % "
              f"| {100 * mean['coverage_warned']:.0f} %, {100 * mean['coverage_clear']:.0f} % "
              f"| {mean['error_warned']:.2f}, {mean['error_clear']:.2f} | {mean['distance']:.2f} | {mean['spread']:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
