"""An ensemble's predictive probabilities beside those of NUTS.

The model and data are those of benchmarks/bayesian_logistic_regression.py, whose `nuts`
made the reference, nuts_probabilities.json: the posterior mean of the probability of
each example's being benign, over 4 chains of 2,500 samples.
"""

import json
import pathlib

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer

from keras_asgld import SGHMC, WeightEnsemble

REFERENCE = pathlib.Path(__file__).parent / "nuts_probabilities.json"


def test_predictive_probabilities_are_those_of_nuts(tmp_path):
    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
    n, batch, steps = len(x), 128, 4000
    prior = keras.regularizers.L2(0.5 / n)  # N(0, 1), for a mean loss over n
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(1, "sigmoid", True, "zeros", "zeros", prior, prior),
        ]
    )
    optimizer = SGHMC(0.03, 0.9, temperature=1 / n, seed=1)
    together = {} if keras.backend.backend() == "torch" else {"steps_per_execution": 50}
    model.compile(optimizer, "binary_crossentropy", **together)
    ensemble = WeightEnsemble(tmp_path, 100, "step", burn_in=1000, max_members=30)
    rows = np.random.default_rng(0).permuted(np.tile(np.arange(n), (900, 1)), axis=1)
    rows = rows.ravel()[: batch * steps]
    model.fit(
        x[rows],
        y[rows, None],
        batch_size=batch,
        shuffle=False,
        verbose=0,
        callbacks=[ensemble],
    )
    assert len(ensemble) == 30
    reference = np.array(json.loads(REFERENCE.read_text()))
    difference = np.abs(ensemble.predict(x, batch_size=n).mean[:, 0] - reference)
    assert difference.mean() < 0.02
