#!/usr/bin/env python3
"""One table of all runs of a folder: the nine splits, and the 45 further ones paired with a reference.

    table.py RUNS REFERENCE [BASELINES]

BASELINES is the predictions.csv that bench/baselines/run.sh writes; its methods join the table, and REFERENCE may be
one of them. Two 95 % intervals of the mean paired difference of kappa_SRE over the further splits are given:
- over splits, with the variance that Nadeau and Bengio (Machine Learning 52 (2003) 239) give for splits that share rows:
  (1 / splits + validation rows / training rows) s^2;
- over crystals: each crystal's differences are averaged over the splits that hold it out, and the crystals are the sample.
The first asks whether another draw of training rows would show it too, the second whether other crystals would.
"""
import csv
import math
import pathlib
import statistics
import sys

NINE, FURTHER = range(1, 10), range(10, 55)
NORMAL = 1.96


def add(folds, row, number):
    # A network can give 0 or less; kappa_SRE then has its largest value, 2.
    folds.setdefault(int(number), {})[row["id"]] = (float(row["kappa"]), max(float(row["predicted"] or "nan"), 0))


def read_run(run):
    """{fold: {id: (kappa, predicted)}}"""
    folds = {}
    with open(run / "predictions.csv") as file:
        for row in csv.DictReader(file):
            add(folds, row, row["fold"])
    return folds


def read_baselines(path, dataset):
    methods = {}
    with open(path) as file:
        for row in csv.DictReader(file):
            if row["dataset"] == dataset:
                add(methods.setdefault("baseline " + row["method"], {}), row, row["n"])
    return methods


def error(pair):
    return abs(pair[1] - pair[0]) / pair[0]


def sre(pair):
    return 2 * abs(pair[1] - pair[0]) / (pair[1] + pair[0])


def mean_over(folds, splits, score):
    return statistics.fmean(statistics.fmean(map(score, folds[n].values())) for n in splits)


def difference(own, reference):
    """Mean, and half the widths of both intervals, of sre(own) - sre(reference) over the further splits."""
    by_split, by_crystal = [], {}
    for n in FURTHER:
        gaps = {name: sre(pair) - sre(reference[n][name]) for name, pair in own[n].items()}
        by_split.append(statistics.fmean(gaps.values()))
        for name, gap in gaps.items():
            by_crystal.setdefault(name, []).append(gap)
    crystals = [statistics.fmean(gaps) for gaps in by_crystal.values()]
    share = 0.2 / 0.8
    over_splits = NORMAL * math.sqrt((1 / len(by_split) + share) * statistics.variance(by_split))
    over_crystals = NORMAL * math.sqrt(statistics.variance(crystals) / len(crystals))
    return statistics.fmean(by_split), over_splits, over_crystals


def main():
    folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    runs = {path.name: read_run(path) for path in sorted(folder.iterdir()) if (path / "metrics.json").exists()}
    if len(sys.argv) > 3:
        runs.update(read_baselines(sys.argv[3], folder.name))
    if name not in runs:
        sys.exit(f"table.py: no run and no baseline is called {name!r}; there are {', '.join(runs)}")
    further = {run: folds for run, folds in runs.items() if all(n in folds for n in FURTHER)}
    print(f"\n{folder.name}: nine splits; 45 further ones; difference of their kappa_SRE to `{name}`, ± over splits, ± over crystals\n")
    print("| recipe | MAPE | kappa_SRE | MAPE, 45 | median error, 45 | kappa_SRE, 45 | difference |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for run, folds in sorted(further.items(), key=lambda item: mean_over(item[1], FURTHER, sre)):
        mean, over_splits, over_crystals = difference(folds, runs[name])
        median = statistics.median(error(pair) for n in FURTHER for pair in folds[n].values())
        print(
            f"| {run} | {mean_over(folds, NINE, error):.3f} | {mean_over(folds, NINE, sre):.3f} "
            f"| {mean_over(folds, FURTHER, error):.3f} | {100 * median:.1f} % | {mean_over(folds, FURTHER, sre):.3f} "
            f"| {mean:+.3f} ± {over_splits:.3f} ± {over_crystals:.3f} |"
        )


if __name__ == "__main__":
    main()
