#!/usr/bin/env python3
"""Writes hh143.csv, kappa103.csv, bte_literature.csv and experiments.csv out of folders of structure files.

    python3 -m venv venv && venv/bin/pip install numpy ase gemmi spglib
    venv/bin/python datasets/make.py [ROOT]

ROOT holds data/hh143 and so on, each a folder with id_prop.csv, structure files and, but for hh143, about.csv with where
each came from; by default it is the environment's KAPPATUNE_TEST_DATA. These folders are not shipped. The tables are
facts in our own words: formula, structure type, symmetry, lattice constants, free coordinates, kappa and its source. They
are written beside this script; tests/data/test_tables.c compares them with the folders.

A crystal that one of kappatune's prototypes describes is written as such, every other one by space group, lattice
constants and one site of each orbit. Symmetry is what spglib finds within TOLERANCE: small enough that no atom moves by
more than the noise of the files, so a crystal that is distorted further keeps its own, lower symmetry.
"""
import csv
import functools
import math
import os
import re
import sys
import warnings

try:
    import ase.io
    import gemmi
    import numpy
    import spglib
except ImportError as missing:
    sys.exit(f"{missing}. What this script needs:\n{__doc__}")

TOLERANCE = 3e-4  # Å; between 3e-4 and 0.1 the same for all but two of the crystals
COLUMNS = ("id formula type prototype space_group a b c alpha beta gamma u sites "
           "kappa unit temperature method source structure_from note").split()
CELL = COLUMNS[5:11]
MATERIALS_PROJECT = "Materials Project"
ORIGINS = {"mp": MATERIALS_PROJECT, "mpel": MATERIALS_PROJECT, "piezo": MATERIALS_PROJECT, "k103": "PhononDB",
           "aflow": "AFLOW", "cod": "COD"}

SETS = {
    "hh143": {
        "title": "Lattice thermal conductivity of 143 half-Heusler compounds, kappa in W/(m K) at 300 K.",
        "structures": "Materials Project (CC BY 4.0), as ideal prototypes; a of the conventional cell in Å.",
        "values": "from first principles, collected from the literature by L. Klochko and M. d'Aquin (ParAIsite), "
                  "Phys. Chem. Chem. Phys. 28 (2026) 8146.",
        "method": "first principles, literature", "source": "ParAIsite, PCCP 28 (2026) 8146"},
    "kappa103": {
        "title": "Lattice thermal conductivity of 103 binaries, kappa in W/(m K) at 300 K.",
        "structures": "cells of PhononDB relaxed with PBE (from Materials Project, CC BY 4.0), as ideal prototypes; a, c in Å.",
        "values": "phono3py, PBE, Wigner total, mean of the three directions, without NAC (with NAC in the note): B. Póta, "
                  "P. Ahlawat, G. Csányi, M. Simoncelli, arXiv:2408.00755; kappa task of Matbench Discovery.",
        "method": "phono3py, PBE, Wigner, no NAC", "source": "arXiv:2408.00755"},
    "bte_literature": {
        "title": "Lattice thermal conductivity of 75 crystals of many structure types, kappa in W/(m K) at 300 K.",
        "structures": "Materials Project (CC BY 4.0), AFLOW (CC BY 4.0), PhononDB; a, b, c in Å, angles in degrees.",
        "values": "phonon Boltzmann equation from first principles, from the literature, interpolated to 300 K: the table of R. "
                  "Jaafreh, Y. S. Kang, K. Hamad, ACS Appl. Mater. Interfaces 13 (2021) 57204. Where it names no structure, "
                  "one was assigned by hand; the note has its own name of the crystal.",
        "method": "BTE, literature", "source": "ACS Appl. Mater. Interfaces 13 (2021) 57204"},
    "experiments": {
        "title": "Measured thermal conductivity of 98 crystals near 300 K, kappa in W/(m K).",
        "structures": "Materials Project (CC BY 4.0), AFLOW (CC BY 4.0), COD (CC0), PhononDB; a, b, c in Å, angles in degrees.",
        "values": "Springer Materials, as collected in github.com/xia0WT/thermal_conductivity_summary; the structure was "
                  "assigned by hand, metals and suspect values were left out. Total kappa, one direction and ceramics are among "
                  "them. The note has the source's own name of the crystal; temperature is empty where it states none.",
        "method": "measured", "source": "Springer Materials"},
}


# ---- numbers ----

def text_of(value, digits):
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def coordinate(value):
    """A fraction where it is one, else 8 decimals; within the cell."""
    value %= 1.0
    for denominator in (1, 2, 3, 4, 6, 8, 12):
        numerator = round(value * denominator)
        if abs(value - numerator / denominator) < 1e-7:
            numerator %= denominator
            common = math.gcd(numerator, denominator)
            return "0" if numerator == 0 else f"{numerator // common}/{denominator // common}"
    return text_of(value, 8)


# ---- symmetry ----

class Crystal:
    """The conventional cell of a structure, symmetrised."""

    def __init__(self, path):
        atoms = ase.io.read(path)
        cell = (atoms.cell[:], atoms.get_scaled_positions(wrap=False), atoms.numbers)
        found = spglib.get_symmetry_dataset(cell, symprec=TOLERANCE)
        self.group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(spglib_hall(found.hall)))
        self.number = found.number
        self.lattice = found.std_lattice
        self.positions = found.std_positions % 1.0
        self.symbols = [ase.data.chemical_symbols[z] for z in found.std_types]
        self.parameters = ase.geometry.cell_to_cellpar(self.lattice)
        self.moved = self.largest_move(cell, found)

    def largest_move(self, cell, found):
        """How far the file's atoms are from the symmetrised ones, Å."""
        moved = 0.0
        for position, number in zip(cell[1], cell[2]):
            apart = self.positions - (found.transformation_matrix @ position + found.origin_shift)
            apart = apart[found.std_types == number]
            moved = max(moved, numpy.linalg.norm((apart - numpy.round(apart)) @ self.lattice, axis=1).min())
        return moved

    def difference(self, first, second):
        """From a site of one element to each of another's, fractions within [0, 1)."""
        at = {s: [p for p, symbol in zip(self.positions, self.symbols) if symbol == s] for s in (first, second)}
        return [numpy.round(p - at[first][0], 9) % 1.0 for p in at[second]]

    def orbits(self):
        """One site of each orbit, the one that is written most simply."""
        left, sites = set(range(len(self.symbols))), []
        while left:
            first = min(left)
            orbit = set()
            for operation in self.group.operations():
                image = numpy.array(operation.apply_to_xyz(self.positions[first].tolist()))
                apart = self.positions - image
                apart = numpy.linalg.norm((apart - numpy.round(apart)) @ self.lattice, axis=1)
                nearest = int(apart.argmin())
                assert apart[nearest] < 1e-3 and self.symbols[nearest] == self.symbols[first], "the group is another"
                orbit.add(nearest)
            left -= orbit
            ways = [[coordinate(x) for x in self.positions[i]] for i in orbit]
            best = min(ways, key=lambda way: (sum("." in x for x in way), sum(map(len, way)), way))
            sites.append((self.symbols[first], best))
        return sites


def spglib_hall(symbol):
    return symbol.replace("=", '"')


# ---- what is written ----

def order_of(formula):
    """Elements in the order of a formula such as Al2Si(O2F)2."""
    return list(dict.fromkeys(re.findall("[A-Z][a-z]?", formula)))


def reduced(counts):
    common = functools.reduce(math.gcd, (n for _, n in counts))
    return "".join(symbol + (str(n // common) if n > common else "") for symbol, n in counts)


def is_close(position, *wanted):
    return any(numpy.allclose(position, w, atol=1e-4) for w in wanted)


def prototype_of(crystal, order):
    """Name, elements with their counts in the order of the prototype's sites, and u; None if there is no prototype."""
    count = {symbol: crystal.symbols.count(symbol) for symbol in order}
    shape = (crystal.number, *sorted(count.values()))
    if shape == (225, 4, 4):
        return "rocksalt", order, None
    if shape == (216, 4, 4):
        return "zincblende", order, None
    if shape == (227, 8):
        return "diamond", order, None
    if shape == (221, 1, 1):
        return "cscl", order, None
    if shape == (225, 4, 8):
        return ("antifluorite" if count[order[0]] == 8 else "fluorite"), order, None
    if shape == (216, 4, 4, 4):
        outer = [(x, z) for x in order for z in order
                 if x < z and is_close(crystal.difference(x, z)[0] * 2 % 1.0, (0, 0, 0), (1, 1, 1))]
        assert len(outer) == 1
        x, z = sorted(outer[0], key=order.index)
        return "half-heusler", [x, *(y for y in order if y not in outer[0]), z], None
    if shape == (221, 1, 1, 3):
        z = next(symbol for symbol in order if count[symbol] == 3)
        x, y = (symbol for symbol in order if symbol != z)
        if any(is_close(p, (0.5, 0, 0)) for p in crystal.difference(x, z)):
            x, y = y, x
        return "perovskite", [x, y, z], None
    if shape == (186, 2, 2):
        above = [p[2] for p in crystal.difference(*order) if is_close(p[:2], (0, 0))]
        if len(above) == 1:
            return "wurtzite", order, min(above[0], 1 - above[0])
    return None


def structure_columns(crystal, order):
    row = {}
    known = prototype_of(crystal, order)
    if known:
        row["prototype"], order, u = known
        given = ["a", "c"] if u is not None else ["a"]
        row["u"] = "" if u is None else text_of(u, 8)
    else:
        row["space_group"] = crystal.group.xhm()
        row["sites"] = "; ".join(" ".join([symbol, *place]) for symbol, place in crystal.orbits())
        system = crystal.group.crystal_system_str()
        given = {"cubic": ["a"], "hexagonal": ["a", "c"], "trigonal": ["a", "c"], "tetragonal": ["a", "c"],
                 "orthorhombic": ["a", "b", "c"], "monoclinic": ["a", "b", "c", "beta"], "triclinic": CELL}[system]
    row["formula"] = reduced([(symbol, crystal.symbols.count(symbol)) for symbol in order])
    row.update((name, text_of(crystal.parameters[CELL.index(name)], 6)) for name in given)
    return row


# Of the types that a list names by their space group alone.
TYPES = {"MoS2": "2H layered", "MoSe2": "2H layered", "Te2Mo": "2H layered", "BN": "hexagonal BN", "Ti2SnC": "MAX phase",
         "AlCuO2": "delafossite, 2H"}


def type_of(label, row):
    """The name of the structure type, where there is one."""
    if row.get("prototype"):
        return row["prototype"]
    if label.startswith("rutile"):
        return "rutile" if len(order_of(row["formula"])) == 2 else "trirutile"
    if label.startswith("BiTeX"):
        return "BiTeI" if row["formula"].startswith("BiTe") else ""
    if label.startswith("Bi2O2Se"):
        return "Bi2O2Se"
    if label.startswith("P63/mmc"):
        return TYPES.get(row["formula"], "")
    return label if label in ("1T layered", "A2BX6", "bixbyite", "pyrite", "tetragonal perovskite") else ""


def temperature_of(name, note):
    if name != "experiments":
        return "300"
    stated = re.search(r", (\d+) K$", note)
    return stated.group(1) if stated else ""


def note_of(row, note):
    """The source's own name of the crystal, without the temperature."""
    name = re.sub(r", (\d+|not stated) K$", "", note)
    elements = set(order_of(re.sub(r"\(P63MC\)|\(F-43m\)", "", name)))
    if elements - set(order_of(row["formula"])):
        return f"{name} in the source: another compound"
    return "" if name == row["formula"] else name


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def make_row(name, folder, identifier, kappa, about):
    path = next(p for p in (os.path.join(folder, identifier + e) for e in (".cif", ".vasp")) if os.path.exists(p))
    crystal = Crystal(path)
    formula, label, origin, note = about or ("".join(crystal.symbols), "", "mp:" + identifier, "")
    if origin.startswith("relaxed"):
        origin = "k103:" + identifier
    row = structure_columns(crystal, order_of(formula))
    catalogue, entry = origin.split(":", 1)
    row.update(id=identifier, kappa=kappa, unit="W/(m K)", temperature=temperature_of(name, note),
               method=SETS[name]["method"], source=SETS[name]["source"], type=type_of(label, row),
               structure_from=f"{ORIGINS[catalogue]} {entry}",
               note=note_of(row, note) if name in ("bte_literature", "experiments") else note)
    return row, crystal.moved


def write_table(name, root, target):
    folder = os.path.join(root, "data", name)
    about_path = os.path.join(folder, "about.csv")
    about = {r[0]: r[1:] for r in read_csv(about_path)} if os.path.exists(about_path) else {}
    made = [make_row(name, folder, i, kappa, about.get(i)) for i, kappa in read_csv(os.path.join(folder, "id_prop.csv"))]
    rows = [row for row, _ in made]
    columns = [c for c in COLUMNS if c == "a" or any(row.get(c) for row in rows)]
    with open(os.path.join(target, name + ".csv"), "w", newline="", encoding="utf-8") as file:
        about_set = SETS[name]
        file.write(f"# {about_set['title']}\n# Structures: {about_set['structures']}\n# Values: {about_set['values']}\n")
        file.write("# Written by datasets/make.py; the columns are explained in datasets/README.md.\n")
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    groups = sum("space_group" in row for row in rows)
    print(f"{name}: {len(rows)} crystals, {groups} by space group; no atom moved by more than {max(m for _, m in made):.1e} Å")


def main():
    if len(sys.argv) > 2 or any(a in ("-h", "--help") for a in sys.argv[1:]):
        sys.exit(__doc__)
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("KAPPATUNE_TEST_DATA")
    if not root:
        sys.exit(__doc__)
    warnings.filterwarnings("ignore")
    for name in SETS:
        write_table(name, root, here)


if __name__ == "__main__":
    main()
