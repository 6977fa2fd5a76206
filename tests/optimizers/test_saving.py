"""Configurations and saved models give the optimizer back."""

import json

import keras
import numpy as np
import pytest

import keras_asgld
from tests.support.family import as_numpy, regression_data, run, small_model


def test_configuration_round_trip(member):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    optimizer = member(learning_rate=schedule, weight_decay=0.01, clipnorm=1.0)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is member.cls
    assert copy.get_config() == optimizer.get_config()
    assert copy.seed == 7


def test_configuration_without_a_seed_does_not_repeat_the_noise(
    member, start, gradients
):
    optimizer = member(seed=None)
    copy = member.cls.from_config(optimizer.get_config())
    _, a = run(optimizer, start, gradients[:2])
    _, b = run(copy, start, gradients[:2])
    assert optimizer.get_config()["seed"] is None
    assert (a != b).all()


def test_saved_and_loaded_model_goes_on_to_the_bit(typical, tmp_path):
    x, y = regression_data()
    model = small_model()
    model.compile(optimizer=typical(seed=None), loss="mse")
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    whole = keras.saving.load_model(tmp_path / "model.keras")
    weights = small_model(seed=1)
    weights.compile(optimizer=typical(seed=None), loss="mse")
    weights.optimizer.build(weights.trainable_variables)
    weights.load_weights(tmp_path / "model.weights.h5")
    for each in (model, whole, weights):
        each.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for loaded in (whole, weights):
        for a, b in zip(model.variables, loaded.variables, strict=True):
            np.testing.assert_array_equal(as_numpy(a), as_numpy(b))


@pytest.mark.parametrize("name", ["ASGLD", "ScaleFreeASGLD"])
def test_a_configuration_names_an_optimizer_by_a_string(name):
    found = keras.optimizers.get(f"keras_asgld>{name}")
    assert type(found) is getattr(keras_asgld, name)
    config = {"class_name": f"keras_asgld>{name}", "config": {"noise": 2.0}}
    assert keras.optimizers.get(config).noise == 2.0
