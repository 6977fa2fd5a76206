"""A model that is saved and loaded in a new process goes on as if it had not been."""

import importlib.util

import keras
import numpy as np
import pytest

from tests.support import continued, processes
from tests.support.family import Member, regression_data


def functional_model():
    """Keras does not find a `Sequential` again in an Orbax checkpoint."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(8, activation="tanh", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))


def save_whole(model, path):
    model.fit(*regression_data(), epochs=2, verbose=0, shuffle=False)
    path = path.with_suffix(".keras")
    model.save(path)
    return path


def save_by_orbax(model, path):
    checkpoint = keras.callbacks.OrbaxCheckpoint(path)
    model.fit(
        *regression_data(), epochs=2, verbose=0, shuffle=False, callbacks=[checkpoint]
    )
    return path


def needs(module):
    return pytest.mark.skipif(
        importlib.util.find_spec(module) is None, reason=f"{module} is not installed"
    )


@pytest.mark.parametrize(
    "save", [save_whole, pytest.param(save_by_orbax, marks=needs("orbax"))]
)
def test_a_new_process_goes_on_to_the_bit(save, tmp_path):
    models, paths = [], []
    for name in ("ASGLD", "SGHMC"):
        model = functional_model()
        model.compile(optimizer=Member(name)(seed=None), loss="mse")
        paths.append(save(model, tmp_path / name))
        models.append(model)
    processes.finish(processes.start("continued", tmp_path, *paths))
    for i, model in enumerate(models):
        loaded = np.load(tmp_path / f"{i}.npz")
        for ours, name in zip(continued.go_on(model), loaded.files, strict=True):
            np.testing.assert_array_equal(loaded[name], ours)
