"""Crystals and kappa of a data set, and 17 physical features of a crystal.

As a program it writes them as a table:   features.py --data DIR --out features.csv
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from pymatgen.io.cif import CifParser

SHELL = 1.15  # the first coordination shell ends at this multiple of a site's nearest distance

NAMES = (
    ["log_mean_mass", "log_mass_ratio", "log_volume_per_atom", "log_nearest_distance", "coordination", "sites"]
    + ["x_difference", "x_least", "x_most"]
    + [f"{name}_{which}" for which in ("least", "most") for name in ("row", "group", "radius", "log_mass")]
)


def read_labels(data):
    """[(id, kappa in W/(m K))] in the order of id_prop.csv, whose header line is optional."""
    file = data / "id_prop.csv"
    with open(file, newline="") as f:
        rows = [row for row in csv.reader(f) if row]
    labels = []
    for line, row in enumerate(rows, start=1):
        try:
            kappa = float(row[1])
        except (ValueError, IndexError):
            if line == 1:
                continue
            raise SystemExit(f"{file}:{line}: no number after the id")
        if not 0 < kappa < np.inf:
            raise SystemExit(f"{file}:{line}: kappa is {row[1]}, and its logarithm is wanted")
        labels.append((row[0], kappa))
    return labels


def read_structure(file):
    # frac_tolerance=0: coordinates as written. By default pymatgen snaps those near 1/3, 2/3, ... and so moves distances.
    (structure,) = CifParser(str(file), frac_tolerance=0).parse_structures(primitive=False)
    if not structure.is_ordered:
        raise SystemExit(f"{file}: a site is disordered")
    return structure


def load(data):
    """ids, kappa and structures of a data set folder (id_prop.csv and <id>.cif), row by row."""
    labels = read_labels(data)
    return (
        [name for name, _ in labels],
        np.array([kappa for _, kappa in labels]),
        [read_structure(data / f"{name}.cif") for name, _ in labels],
    )


def first_shells(structure):
    """Every site's nearest distance (Angstrom) and the number of neighbours within SHELL of it."""
    reach = 4.0
    while True:
        shells = structure.get_all_neighbors(reach)
        distances = [np.array([neighbour.nn_distance for neighbour in shell]) for shell in shells]
        # a shell is whole once the reach goes beyond its end
        if all(len(d) and SHELL * d.min() <= reach for d in distances):
            break
        reach += 2.0
    nearest = np.array([d.min() for d in distances])
    return nearest, np.array([np.sum(d <= SHELL * d.min()) for d in distances])


def of(structure):
    """The 17 features of one crystal, in the order of NAMES; masses in u, lengths in Angstrom, logarithms natural."""
    masses = np.array([float(site.specie.atomic_mass) for site in structure])
    nearest, coordination = first_shells(structure)
    # by electronegativity (Pauling); the symbol breaks a tie, so that the order of sites has no say
    elements = sorted({site.specie for site in structure}, key=lambda e: (e.X, e.symbol))
    least, most = elements[0], elements[-1]
    return (
        [np.log(masses.mean()), np.log(masses.max() / masses.min()), np.log(structure.volume / len(structure))]
        + [np.log(nearest.min()), coordination.mean(), len(structure)]
        + [most.X - least.X, least.X, most.X]
        + [float(x) for e in (least, most) for x in (e.row, e.group, e.atomic_radius, np.log(float(e.atomic_mass)))]
    )


def table(structures):
    """[crystals, 17]."""
    features = np.array([of(structure) for structure in structures], dtype=float)
    if not np.isfinite(features).all():
        row, column = np.argwhere(~np.isfinite(features))[0]
        raise SystemExit(f"row {row + 1}: {NAMES[column]} of {structures[row].formula} is not tabulated")
    return features


def main():
    parser = argparse.ArgumentParser(description="Writes the 17 features of a data set.")
    parser.add_argument("--data", type=Path, required=True, help="folder with id_prop.csv and <id>.cif")
    parser.add_argument("--out", type=Path, required=True, help="CSV: id, kappa, 17 features")
    arguments = parser.parse_args()
    ids, kappa, structures = load(arguments.data)
    with open(arguments.out, "w", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(["id", "kappa", *NAMES])
        for name, k, row in zip(ids, kappa, table(structures)):
            writer.writerow([name, repr(float(k)), *(repr(float(x)) for x in row)])


if __name__ == "__main__":
    main()
