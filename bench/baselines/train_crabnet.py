#!/usr/bin/env python3
"""CrabNet, a transformer that knows a crystal's composition only, trained from scratch on the same splits.

    train_crabnet.py --data-root DIR --out OUT --splits nine

Its own defaults throughout; log kappa as target, as in gp.py. CrabNet averages weights and stops early by the error on
rows that it does not train on: these are a fifth of the training rows, the share that its own fit() would take. It never
sees the validation rows.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["MPLBACKEND"] = "Agg"  # CrabNet opens figures

import contextlib
import multiprocessing
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")  # pymatgen on every other file, torch on what CrabNet asks of it; errors still stop us

import numpy as np
import pandas as pd
from crabnet.crabnet_ import CrabNet
from sklearn.model_selection import train_test_split

import features
import protocol

EPOCHS = 300  # CrabNet's own default, at most
METHOD = "crabnet"


def predict(formulas, kappa, train, validate, n):
    """kappa of the validation rows, the number of epochs that were trained, CPU seconds."""
    started = time.process_time()
    train, inner = train_test_split(train, test_size=0.2, random_state=n)

    def frame(rows):
        return pd.DataFrame({"formula": [formulas[i] for i in rows], "target": np.log(kappa[rows])})

    model = CrabNet(
        epochs=EPOCHS, random_state=n, compute_device="cpu", verbose=False, losscurve=False, learningcurve=False, save=False
    )
    # CrabNet writes learning curves into the current folder whatever it is told
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        model.fit(frame(train), frame(inner))
    hidden = frame(validate).assign(target=0.0)  # predict() wants the column
    return np.exp(model.predict(hidden)), model.epoch + 1, time.process_time() - started


def main():
    arguments = protocol.parse_arguments(__doc__.splitlines()[0], (METHOD,))
    seconds = 0.0
    rows = []
    # A process for each model: torch wraps the step of CrabNet's optimiser class when it is first used, and a second
    # object of that class, whose constructor does not call torch's, then lacks what the wrapper looks for.
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for dataset in arguments.sets:
            ids, kappa, structures = features.load(arguments.data_root / dataset)
            formulas = [structure.composition.reduced_formula for structure in structures]
            for n in arguments.splits:
                train, validate = protocol.split(len(ids), n)
                predicted, epochs, took = pool.apply(predict, (formulas, kappa, train, validate, n))
                rows += [(dataset, n, ids[i], kappa[i], p) for i, p in zip(validate, predicted)]
                seconds += took
                print(f"{METHOD}: {dataset} split {n}, {epochs} epochs, {took:.0f} s", flush=True)
    protocol.write_predictions(arguments.out, METHOD, rows)
    print(f"{METHOD}: {seconds:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
