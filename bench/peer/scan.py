#!/usr/bin/env python3
"""Crystals a second from CIF files to rows by nine models: kappatune scan beside matgl.

usage: scan.py --kappatune PROGRAM [--every N] [--rounds N] [--json FILE]    takes turns, prints medians
       scan.py --worker --list FILE                                          inside the peer's virtual environment

The peer reads each file by pymatgen, builds the graph by matgl's converter and lets nine models (as in step.py, random weights) predict
batches of 32 crystals, in as many processes as there are processors, one thread each; its clock starts when packages are imported and
models made. kappatune's clock counts everything, start and loading too; its model is models/aflow-agl. Both take the same every N-th CIF
of AFLOW and use all processors. The peer's environment is the one that run.sh has made (venvs/pyg).
"""
import argparse
import csv
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS, BATCH = 9, 32


# ---- the peer, in its environment -----------------------------------------------------------------------------------


def start(barrier):
    """Once in each process of the pool."""
    global step, converter, models
    import step
    import torch
    from matgl.config import DEFAULT_ELEMENTS
    from matgl.ext.pymatgen import Structure2Graph

    torch.set_num_threads(1)
    converter = Structure2Graph(element_types=DEFAULT_ELEMENTS, cutoff=step.CUTOFF)
    models = [step.Model().eval() for _ in range(MODELS)]
    barrier.wait()


def predict(paths):
    """Rows of some files; those without an edge are left out."""
    import torch

    used, graphs = [], []
    for path in paths:
        graph = step.build_graph("pyg", converter, step.read_structure(path))
        if step.n_edges("pyg", graph) > 0:
            used.append(path)
            graphs.append((path, graph, 0.0))
    rows = []
    with torch.no_grad():
        for graph, state, _ in step.collate("pyg", graphs, BATCH):
            rows += torch.stack([model(graph, state) for model in models], 1).tolist()
    return [[path, statistics.fmean(row), statistics.pstdev(row), *row] for path, row in zip(used, rows)]


def work(listing):
    paths = Path(listing).read_text().split()
    parts = [paths[i : i + BATCH] for i in range(0, len(paths), BATCH)]
    processes = os.cpu_count()
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes + 1)
    with context.Pool(processes, start, (barrier,)) as pool:
        barrier.wait()
        began = time.perf_counter()
        with tempfile.NamedTemporaryFile("w", newline="") as file:
            out = csv.writer(file)
            written = 0
            for rows in pool.imap(predict, parts):
                out.writerows(rows)
                written += len(rows)
        seconds = time.perf_counter() - began
    json.dump({"crystals": len(paths), "rows": written, "seconds": seconds}, sys.stdout)


# ---- taking turns ---------------------------------------------------------------------------------------------------


def time_peer(listing):
    said = subprocess.run([HERE / "venvs/pyg/bin/python", __file__, "--worker", "--list", listing], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout
    return json.loads(said)


def time_kappatune(program, listing, scratch):
    began = time.perf_counter()
    model = HERE.parent.parent / "models/aflow-agl"
    done = subprocess.run([program, "scan", model, listing, "--out", os.path.join(scratch, f"{began}.csv"), "--quiet"])
    if done.returncode not in (0, 3):  # 3: crystals without an edge are rejected
        raise SystemExit(f"kappatune scan failed: {done.returncode}")
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kappatune", help="the program")
    parser.add_argument("--data", type=Path, default=Path("aflow"), help="folder of CIF files (kappatune data fetch aflow --out aflow)")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--list")
    args = parser.parse_args()
    if args.worker:
        return work(args.list)
    paths = sorted(str(path.resolve()) for path in args.data.glob("*.cif"))[:: args.every]
    rates = {"peer": [], "kappatune": []}
    with tempfile.TemporaryDirectory() as scratch:
        listing = os.path.join(scratch, "crystals.txt")
        Path(listing).write_text("\n".join(paths) + "\n")
        for _ in range(args.rounds):
            peer = time_peer(listing)
            rates["peer"].append(peer["crystals"] / peer["seconds"])
            rates["kappatune"].append(len(paths) / time_kappatune(args.kappatune, listing, scratch))
    for name, values in rates.items():
        print(f"{name}: {statistics.median(values):.1f} crystals a second ({min(values):.1f} to {max(values):.1f}), {len(paths)} crystals")
    ratios = [k / p for k, p in zip(rates["kappatune"], rates["peer"])]
    print(f"ratio: {statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})")
    if args.json:
        args.json.write_text(json.dumps({"crystals": len(paths), "crystals_per_second": rates}) + "\n")


if __name__ == "__main__":
    main()
