#!/usr/bin/env python3
"""Times one peer's training step. Runs inside that peer's virtual environment.

The step: MEGNet without its last layer (16 numbers a crystal), a head 16->450->350->350->1 with ReLU, MAPE in W/(m K)
through the inverse of the target transform, backward, Adam with lr 1e-3; batch 8, the last partial batch kept, one thread.

    step.py --peer dgl|pyg --data DIR --ids FILE --cache DIR --prepare     build the graphs, say which crystals have any edge
    step.py --peer dgl|pyg --data DIR --ids FILE --cache DIR --seconds S   time the step

Both print one JSON object on stdout. FILE holds one crystal id a line, DIR holds id_prop.csv and <id>.cif.
"""

import os

# Before the first import that starts a thread pool: OpenMP and MKL read these once.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["DGLBACKEND"] = "pytorch"  # otherwise DGL writes a configuration file into the home directory

import argparse
import csv
import hashlib
import json
import math
import platform
import statistics
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")  # pymatgen and DGL warn about every other file; errors still stop us

import torch

CUTOFF = 4.0  # Angstrom
BODY_PARAMETERS = 189_504
HEAD_PARAMETERS = 288_701
PACKAGES = {
    "dgl": ("torch", "dgl", "matgl", "pymatgen", "numpy"),
    "pyg": ("torch", "torch-geometric", "matgl", "pymatgen-core", "numpy"),
}


def versions(peer):
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES[peer]}}


# ---- graphs ---------------------------------------------------------------------------------------------------------


def read_ids(path):
    ids = [line.strip() for line in Path(path).read_text().splitlines() if line.strip()]
    if not ids:
        raise SystemExit(f"{path}: holds no crystal id")
    return ids


def read_labels(data):
    """id -> kappa in W/(m K)."""
    with open(data / "id_prop.csv", newline="") as f:
        rows = [row for row in csv.reader(f) if row]
    labels = {}
    for line, row in enumerate(rows, start=1):
        try:
            labels[row[0]] = float(row[1])
        except ValueError:
            if line > 1:  # only a header may lack a number
                raise SystemExit(f"{data / 'id_prop.csv'}:{line}: {row[1]!r} is not a number")
    return labels


def read_structure(path):
    from pymatgen.io.cif import CifParser

    # frac_tolerance=0: coordinates as written. By default pymatgen snaps those near 1/3, 2/3, ... and so moves distances.
    (structure,) = CifParser(str(path), frac_tolerance=0).parse_structures(primitive=False)
    return structure


def build_graph(peer, converter, structure):
    """One crystal's graph, made by the peer's own converter, with positions and image shifts in Angstrom attached.

    In the peers' own training loops these two are recomputed from fractional coordinates at every step. Attaching them
    here takes that work out of the timed part, in the peers' favour; so does the index conversion below. What the model
    does not read is dropped.
    """
    graph, lattice, _ = converter.get_graph(structure)
    if peer == "dgl":
        graph.ndata["pos"] = graph.ndata.pop("frac_coords") @ lattice[0]
        graph.edata["pbc_offshift"] = graph.edata.pop("pbc_offset") @ lattice[0]
    else:
        graph.edge_index = graph.edge_index.long()  # int32 as made: PyTorch then converts it at every use
        graph.pos = graph.frac_coords @ lattice[0]
        graph.pbc_offshift = graph.pbc_offset @ lattice[0]
        del graph.frac_coords, graph.pbc_offset
    return graph


def load_graphs(peer, data, ids, cache):
    """[(id, graph, kappa)] in the order of ids; from the cache when the files, ids and versions are those it was made of."""
    labels = read_labels(data)
    missing = [i for i in ids if i not in labels or not (data / f"{i}.cif").is_file()]
    if missing:
        raise SystemExit(f"{data}: no label or no CIF file for {', '.join(missing[:5])}" + (" ..." if len(missing) > 5 else ""))

    key = hashlib.sha256(json.dumps([peer, versions(peer), CUTOFF], sort_keys=True).encode())
    key.update(Path(__file__).read_bytes())
    for i in ids:
        key.update(f"{i} {labels[i]!r}\n".encode())
        key.update((data / f"{i}.cif").read_bytes())
    file = cache / f"{peer}-{key.hexdigest()[:24]}.pt"
    if file.is_file():
        # graphs are Python objects; this file is one that we wrote
        return torch.load(file, **({"weights_only": False} if peer == "pyg" else {}))

    from matgl.config import DEFAULT_ELEMENTS
    from matgl.ext.pymatgen import Structure2Graph

    converter = Structure2Graph(element_types=DEFAULT_ELEMENTS, cutoff=CUTOFF)
    graphs = []
    for i in ids:
        try:
            graphs.append((i, build_graph(peer, converter, read_structure(data / f"{i}.cif")), labels[i]))
        except Exception as error:
            raise SystemExit(f"{data / i}.cif: {type(error).__name__}: {error}")
    cache.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    torch.save(graphs, part)
    part.rename(file)  # a reader never sees half a file
    return graphs


def n_edges(peer, graph):
    return int(graph.num_edges() if peer == "dgl" else graph.num_edges)


def n_atoms(peer, graph):
    return int(graph.num_nodes() if peer == "dgl" else graph.num_nodes)


# ---- model and batches ----------------------------------------------------------------------------------------------


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        from matgl.models import MEGNet

        self.body = MEGNet(cutoff=CUTOFF)  # its defaults are the formation-energy model's sizes
        # Linear, act, Linear, act, Linear(16, 1): keep up to the second Linear, whose 16 numbers the head takes as they are.
        self.body.output_proj.layers = self.body.output_proj.layers[:3]
        self.head = torch.nn.Sequential(
            torch.nn.Linear(16, 450), torch.nn.ReLU(),
            torch.nn.Linear(450, 350), torch.nn.ReLU(),
            torch.nn.Linear(350, 350), torch.nn.ReLU(),
            torch.nn.Linear(350, 1),
        )

    def forward(self, graph, state):
        # matgl squeezes its output; the reshape restores the batch dimension of a batch of one
        return self.head(self.body(graph, state).reshape(-1, 16)).reshape(-1)


def count_parameters(module):
    # The 100 Gaussian centres are a parameter without gradient in matgl: they are not trained, so not counted.
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def collate(peer, graphs, batch_size):
    """[(batched graph, state, kappa)] in file order; the last one may be smaller."""
    batches = []
    for start in range(0, len(graphs), batch_size):
        part = graphs[start : start + batch_size]
        if peer == "dgl":
            import dgl

            graph = dgl.batch([g for _, g, _ in part])
        else:
            from torch_geometric.data import Batch

            graph = Batch.from_data_list([g for _, g, _ in part])
        batches.append((graph, torch.zeros(len(part), 2), torch.tensor([k for _, _, k in part])))
    return batches


def mape(z, kappa, mean, sd):
    """Mean absolute percentage error in W/(m K) of standardised predictions z of log10(kappa + 1)."""
    predicted = torch.pow(10.0, z * sd + mean) - 1.0
    return ((kappa - predicted).abs() / kappa.abs().clamp(min=1.17e-6)).mean()


# ---- timing ---------------------------------------------------------------------------------------------------------


def time_steps(peer, graphs, batch_size, seconds):
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)

    # The pretrained weights are not loaded: random ones cost the same.
    model = Model()
    body, head = count_parameters(model.body), count_parameters(model.head)
    if (body, head) != (BODY_PARAMETERS, HEAD_PARAMETERS):
        raise SystemExit(f"not the same model: body {body} and head {head} parameters, expected {BODY_PARAMETERS} and {HEAD_PARAMETERS}")
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    y = [math.log10(k + 1.0) for _, _, k in graphs]
    mean, sd = statistics.fmean(y), statistics.pstdev(y)

    # Collated once, before the clock starts, and used again every epoch: no reading, shuffling, batching or host copies
    # in the timed part, and DGL keeps a batch's sparse formats once made. All of it is in the peers' favour.
    batches = collate(peer, graphs, batch_size)

    def epoch():
        for graph, state, kappa in batches:
            optimiser.zero_grad()
            loss = mape(model(graph, state), kappa, mean, sd)
            loss.backward()
            optimiser.step()
        return loss

    model.train()
    warm_up = time.perf_counter()
    for _ in range(2):  # sparse formats, allocator, Adam's state, TorchScript's profiling; DGL's second epoch is still slow
        epoch()
    warm_up = time.perf_counter() - warm_up

    epochs = []  # seconds each
    cpu = time.process_time()
    start = time.perf_counter()
    while True:
        before = time.perf_counter()
        loss = epoch()
        after = time.perf_counter()
        epochs.append(after - before)
        if after - start >= seconds and len(epochs) >= 3:
            break
    total = after - start
    cpu = time.process_time() - cpu  # one thread: less than the wall clock only where something else had the core
    if not math.isfinite(loss.item()):
        raise SystemExit(f"the loss became {loss.item()}: arithmetic on NaN is no fair timing")

    steps = len(epochs) * len(batches)
    per_step = [1e3 * t / len(batches) for t in epochs]
    return {
        "step": {"ms": {
            "mean": 1e3 * total / steps,
            # spread over epochs, each the mean of its steps: batches differ in size, so single steps have no one time
            "median": statistics.median(per_step), "min": min(per_step), "max": max(per_step),
        }},
        "epochs": len(epochs), "steps": steps, "seconds": total, "cpu_seconds": cpu, "warm_up_seconds": warm_up,
        "batches": len(batches), "batch": batch_size, "last_batch": len(batches[-1][2]),
        "crystals": len(graphs), "parameters": {"body": body, "head": head, "total": body + head},
        "target": {"mean": mean, "std": sd}, "last_loss": loss.item(),
        "threads": torch.get_num_threads(), "optimiser": "torch.optim.Adam, its defaults, lr 1e-3",
    }


def main():
    parser = argparse.ArgumentParser(description="Times one peer's training step.")
    parser.add_argument("--peer", required=True, choices=sorted(PACKAGES))
    parser.add_argument("--data", required=True, type=Path, help="folder with id_prop.csv and <id>.cif")
    parser.add_argument("--ids", required=True, type=Path, help="text file, one crystal id a line")
    parser.add_argument("--cache", required=True, type=Path, help="folder for built graphs")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=7.0, help="the timed part lasts at least this long")
    parser.add_argument("--prepare", action="store_true", help="build the graphs only, and list the crystals that have an edge")
    args = parser.parse_args()

    graphs = load_graphs(args.peer, args.data, read_ids(args.ids), args.cache)
    # A crystal without an edge has no mean over edges to take: nobody can train on it.
    used = [entry for entry in graphs if n_edges(args.peer, entry[1]) > 0]
    if not used:
        raise SystemExit(f"{args.data}: no crystal has an edge within {CUTOFF} Angstrom")
    result = {"versions": versions(args.peer)}
    if args.prepare:
        result["used"] = [i for i, _, _ in used]
        result["left_out"] = sorted({i for i, _, _ in graphs} - set(result["used"]))
        result["size"] = [[n_atoms(args.peer, g), n_edges(args.peer, g)] for _, g, _ in used]
    else:
        result.update(time_steps(args.peer, used, args.batch, args.seconds))
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
