"""The splits that every method runs on, and the file that holds its predictions."""

import argparse
import csv
from pathlib import Path

import numpy as np

NINE = range(1, 10)  # the paper's splits
FURTHER = range(10, 55)  # 45 more: nine are noisy
SETS = ("togo15", "hh143")
COLUMNS = ("method", "dataset", "n", "id", "kappa", "predicted")


def split(rows, n):
    """Training and validation rows of split n: numpy's legacy shuffle, the first 80 % train."""
    order = np.random.RandomState(n).permutation(rows)
    train = int(0.8 * rows)
    return order[:train], order[train:]


def parse_arguments(description, methods):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data-root", type=Path, required=True, help="folder with " + "/, ".join(SETS) + "/")
    parser.add_argument("--out", type=Path, required=True, help="predictions go to OUT/predictions/<method>.csv")
    parser.add_argument("--sets", nargs="+", default=SETS, help="default: %(default)s")
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods, help="default: all")
    parser.add_argument("--splits", choices=("nine", "all"), default="all", help="n = 1..9, or n = 1..54 (the default)")
    arguments = parser.parse_args()
    arguments.splits = [*NINE] if arguments.splits == "nine" else [*NINE, *FURTHER]
    return arguments


def write_predictions(out, method, rows):
    """rows: (dataset, n, id, kappa, predicted). The file appears whole or not at all."""
    folder = out / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{method}.csv.part"
    with open(part, "w", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(COLUMNS)
        for dataset, n, name, kappa, predicted in rows:
            writer.writerow([method, dataset, n, name, repr(float(kappa)), repr(float(predicted))])
    part.replace(folder / f"{method}.csv")
