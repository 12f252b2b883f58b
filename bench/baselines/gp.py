#!/usr/bin/env python3
"""Gaussian processes and other classical regressors on the 17 features of a crystal (features.py), log kappa as target.

    gp.py --data-root DIR --out OUT

Everything is fitted on the training rows of a split, the mean and standard deviation of a feature included. No setting
was chosen by a score on validation rows, but for one: the -smooth methods, whose lengths are at least 1, were added when
validation scores of HH143, splits 1 to 6, had been seen.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy starts its threads: 76 rows do not feed two

import time
import warnings

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import features
import protocol

AMPLITUDE = (1e-3, 1e3)
LENGTH = (1e-1, 1e3)  # in standard deviations of a feature; at the upper end the feature has no say
SMOOTH = (1.0, 1e3)
NOISE = (1e-5, 1e1)


def rbf(lengths, bounds=LENGTH):
    return ConstantKernel(1.0, AMPLITUDE) * RBF(lengths, bounds)


def matern(lengths, bounds=LENGTH):
    return ConstantKernel(1.0, AMPLITUDE) * Matern(lengths, bounds, nu=2.5)


def gaussian_process(kernel, n):
    """Marginal likelihood, from the start given and from two random ones."""
    noise = WhiteKernel(1e-2, NOISE)
    regressor = GaussianProcessRegressor(kernel + noise, normalize_y=True, n_restarts_optimizer=2, random_state=n)
    return make_pipeline(StandardScaler(), regressor)


START = np.full(len(features.NAMES), 3.0)

# ARD: a length for each feature. Lengths start at 3: with 17 features, crystals lie some 6 standard deviations apart.
METHODS = {
    "median": lambda n: DummyRegressor(strategy="median"),
    "ridge": lambda n: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 25))),  # penalty: leave-one-out
    "random-forest": lambda n: RandomForestRegressor(500, random_state=n),
    "gradient-boosting": lambda n: GradientBoostingRegressor(
        n_estimators=500, learning_rate=0.05, max_depth=3, subsample=0.5, random_state=n
    ),
    "gp-rbf": lambda n: gaussian_process(rbf(START), n),
    "gp-matern": lambda n: gaussian_process(matern(START), n),
    "gp-matern-iso": lambda n: gaussian_process(matern(START) + matern(3.0), n),
    "gp-rbf-smooth": lambda n: gaussian_process(rbf(START, SMOOTH), n),
    "gp-matern-smooth": lambda n: gaussian_process(matern(START, SMOOTH), n),
}


def main():
    arguments = protocol.parse_arguments(__doc__.splitlines()[0], tuple(METHODS))
    # a length at its upper bound (a feature that does not matter) is no failure, and neither is a long line search
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    warnings.filterwarnings("ignore", module="pymatgen")
    sets = {}
    for dataset in arguments.sets:
        ids, kappa, structures = features.load(arguments.data_root / dataset)
        sets[dataset] = ids, kappa, features.table(structures)
    for method in arguments.methods:
        started = time.process_time()
        rows = []
        for dataset, (ids, kappa, x) in sets.items():
            for n in arguments.splits:
                train, validate = protocol.split(len(ids), n)
                model = METHODS[method](n).fit(x[train], np.log(kappa[train]))
                predicted = np.exp(model.predict(x[validate]))
                rows += [(dataset, n, ids[i], kappa[i], p) for i, p in zip(validate, predicted)]
        protocol.write_predictions(arguments.out, method, rows)
        print(f"{method}: {time.process_time() - started:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
