#!/usr/bin/env python3
"""The correlations of `kappatune analyze` beside SciPy's, on a scan.

usage: compare_scipy.py PROGRAM SCAN.csv

Fails if r or p of Pearson or Spearman, or the adjusted p, differ by more than 1e-10. Needs SciPy.
"""
import csv
import math
import subprocess
import sys

import numpy
import scipy
from scipy import stats

TOLERANCE = 1e-10


def main():
    program, scan = sys.argv[1:3]
    said = subprocess.run([program, "analyze", scan, "--format", "csv"], check=True, stdout=subprocess.PIPE, text=True).stdout
    correlations = list(csv.DictReader(said.splitlines()))
    with open(scan, newline="") as file:
        rows = list(csv.DictReader(file))

    def column(name):
        return numpy.array([float(row[name]) if row[name] else math.nan for row in rows])

    targets = {"mean": column("kappa_mean"), "variance": column("kappa_std") ** 2}
    worst = {}
    for target, y in targets.items():
        found = [c for c in correlations if c["target"] == target]
        expected = {key: [] for key in ("pearson", "pearson_p", "spearman", "spearman_p")}
        for c in found:
            x = column(c["feature"])
            good = numpy.isfinite(x) & numpy.isfinite(y)
            pearson, spearman = stats.pearsonr(x[good], y[good]), stats.spearmanr(x[good], y[good])
            for key, value in zip(expected, (pearson[0], pearson[1], spearman[0], spearman[1])):
                expected[key].append(value)
        expected["pearson_q"] = stats.false_discovery_control(expected["pearson_p"])
        expected["spearman_q"] = stats.false_discovery_control(expected["spearman_p"])
        for key, values in expected.items():
            for c, value in zip(found, values):
                worst[key] = max(worst.get(key, 0), abs(float(c[key]) - value))
    print(f"{len(rows)} crystals, greatest differences from SciPy {scipy.__version__}:",
          ", ".join(f"{key} {value:.1e}" for key, value in worst.items()))
    return 0 if worst and all(value <= TOLERANCE for value in worst.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
