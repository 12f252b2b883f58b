#!/usr/bin/env python3
"""Scores the predictions in OUT/predictions/*.csv and prints the table of README.md.

    score.py OUT

Writes OUT/scores/<method>.csv (one line a data set and split) and OUT/predictions.csv (all methods in one file).
"""

import argparse
import csv
from pathlib import Path

import numpy as np

import protocol

ORDER = ("median", "ridge", "random-forest", "gradient-boosting", "crabnet")  # then the others by name


def errors(kappa, predicted):
    """Absolute percentage error and symmetric relative error of each row, as fractions."""
    difference = np.abs(predicted - kappa)
    return difference / kappa, 2 * difference / (predicted + kappa)


def read(file):
    """{dataset: {n: (kappa, predicted)}}, and the rows as they stand."""
    with open(file, newline="") as f:
        rows = list(csv.DictReader(f))
    folds = {}
    for row in rows:
        kappa, predicted = float(row["kappa"]), float(row["predicted"])
        if not (np.isfinite(predicted) and predicted > 0):
            raise SystemExit(f"{file}: {row['dataset']} split {row['n']}, {row['id']}: predicted {row['predicted']}")
        folds.setdefault(row["dataset"], {}).setdefault(int(row["n"]), []).append((kappa, predicted))
    return {d: {n: np.array(pairs).T for n, pairs in by_n.items()} for d, by_n in folds.items()}, rows


def score(folds):
    """{n: (mape, medape, sre)}."""
    result = {}
    for n, (kappa, predicted) in folds.items():
        ape, sre = errors(kappa, predicted)
        result[n] = ape.mean(), np.median(ape), sre.mean()
    return result


def table_line(method, folds):
    scores = score(folds)
    cells = [method]
    nine = np.array([scores[n] for n in protocol.NINE if n in scores])
    further = np.array([scores[n] for n in protocol.FURTHER if n in scores])
    if len(nine) == len(protocol.NINE):
        cells += [f"{nine[:, k].mean():.3f} ({nine[:, k].std():.3f})" for k in range(3)]
    else:
        cells += ["", "", ""]
    if len(further) == len(protocol.FURTHER):
        pooled = np.concatenate([errors(*folds[n])[0] for n in protocol.FURTHER])
        cells += [f"{further[:, 0].mean():.3f}", f"{100 * np.median(pooled):.1f} %", f"{further[:, 2].mean():.3f}"]
    else:
        cells += ["", "", ""]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    files = {file.stem: file for file in (out / "predictions").glob("*.csv")}
    if not files:
        raise SystemExit(f"{out}/predictions holds no predictions")
    methods = [m for m in ORDER if m in files] + sorted(set(files) - set(ORDER))

    (out / "scores").mkdir(exist_ok=True)
    predictions = {}
    with open(out / "predictions.csv", "w", newline="") as joined:
        all_rows = csv.DictWriter(joined, protocol.COLUMNS, lineterminator="\n")
        all_rows.writeheader()
        for method in methods:
            predictions[method], rows = read(files[method])
            all_rows.writerows(rows)
            with open(out / "scores" / f"{method}.csv", "w", newline="") as f:
                writer = csv.writer(f, lineterminator="\n")
                writer.writerow(["method", "dataset", "n", "mape", "medape", "sre"])
                for dataset, folds in predictions[method].items():
                    for n, values in sorted(score(folds).items()):
                        writer.writerow([method, dataset, n, *(f"{v:.6f}" for v in values)])

    for dataset in dict.fromkeys(d for p in predictions.values() for d in p):
        print(f"\n{dataset}\n")
        print("| method | nine: MAPE | median error | kappa_SRE | 45: MAPE | median error, all rows | kappa_SRE |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for method in methods:
            if dataset in predictions[method]:
                print(table_line(method, predictions[method][dataset]))


if __name__ == "__main__":
    main()
