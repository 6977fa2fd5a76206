"""Variables that are kept free of noise."""

import copy
import json
import pickle

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD
from tests.support import reference
from tests.support.family import as_numpy, regression_data, small_model


def test_excluded_variables_are_moved_without_noise(member, start, gradients):
    gradients = gradients[:30]
    for selection in ("var_list", "var_names"):
        variables = [keras.Variable(start, name=name) for name in ("plain", "noisy")]
        optimizer = member()
        chosen = [variables[0]] if selection == "var_list" else ["plain"]
        optimizer.exclude_from_noise(**{selection: chosen})
        for g in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(g)] * 2, variables)
        quiet = reference.trajectory(
            optimizer, start, gradients, noisy=False, **member.numbers
        )
        np.testing.assert_allclose(as_numpy(variables[0]), quiet[-1][0], atol=3e-5)
        states = reference.trajectory(
            optimizer, start, gradients, index=1, **member.numbers
        )
        np.testing.assert_allclose(as_numpy(variables[1]), states[-1][0], atol=3e-5)


def test_exclusion_matches_the_names_of_layers(member):
    model = small_model()
    optimizer = member()
    optimizer.exclude_from_noise(var_names=["hidden"])
    optimizer.build(model.trainable_variables)
    noisy = [optimizer.is_noisy(v) for v in model.trainable_variables]
    assert noisy == [False, False, True, True]


def test_a_pattern_that_matches_nothing_is_warned_of(member):
    optimizer = member()
    optimizer.exclude_from_noise(var_names=["hidden", "hiden"])
    with pytest.warns(UserWarning, match="'hiden' matches none of the 4") as caught:
        optimizer.build(small_model().trainable_variables)
    assert len(caught) == 1


def test_exclusion_after_build_is_refused(member, start):
    optimizer = member()
    optimizer.build([keras.Variable(start)])
    with pytest.raises(ValueError, match="exclude_from_noise"):
        optimizer.exclude_from_noise(var_names=["bias"])


@pytest.mark.parametrize("names", ["bias", ["("], [3], 5])
def test_names_that_are_no_list_of_patterns_are_refused(names):
    with pytest.raises(ValueError, match="`var_names` must be a list"):
        ASGLD().exclude_from_noise(var_names=names)


@pytest.mark.parametrize("variables", [["kernel"], "kernel", np.ones(3)])
def test_what_is_no_list_of_variables_is_not_excluded(variables):
    with pytest.raises(ValueError, match="`var_list` must be a list of variables"):
        ASGLD().exclude_from_noise(variables)


def deep_copied(model, tmp_path):
    return copy.deepcopy(model)


def pickled(model, tmp_path):
    return pickle.loads(pickle.dumps(model))


def saved(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


def serialized(model, tmp_path):
    again = small_model(seed=1)
    config = keras.optimizers.serialize(model.optimizer)
    optimizer = keras.optimizers.get(json.loads(json.dumps(config)))
    again.compile(optimizer, "mse", run_eagerly=True)
    return again


@pytest.fixture(scope="module", params=["var_list", "var_names"])
def trained(request):
    model = small_model()
    optimizer = ASGLD(0.05, seed=7)
    chosen = ["hidden"] if request.param == "var_names" else model.layers[0].variables
    optimizer.exclude_from_noise(**{request.param: chosen})
    model.compile(optimizer, "mse", run_eagerly=True)
    model.fit(*regression_data(), verbose=0)
    return model


@pytest.mark.parametrize("way", [deep_copied, pickled, saved, serialized])
def test_a_copy_keeps_noise_off_the_same_variables(trained, way, tmp_path):
    again = way(trained, tmp_path)
    again.fit(*regression_data(), verbose=0)
    noisy = [again.optimizer.is_noisy(v) for v in again.trainable_variables]
    assert noisy == [False, False, True, True]
    assert again.optimizer.get_config() == trained.optimizer.get_config()


def test_a_copy_whose_layers_have_other_names_warns():
    model = small_model()
    optimizer = ASGLD(0.05, seed=7)
    optimizer.exclude_from_noise(var_list=[model.layers[0].kernel])
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="first")])
    again = ASGLD.from_config(optimizer.get_config())
    with pytest.warns(UserWarning, match="hidden/kernel' matches none of the 2"):
        again.build(other.trainable_variables)


def test_of_two_variables_of_one_path_the_given_one_is_excluded():
    pair = [keras.Variable(np.ones(3), name="twin") for _ in range(2)]
    assert pair[0].path == pair[1].path
    optimizer = ASGLD(0.05, seed=7)
    optimizer.exclude_from_noise(var_list=pair[:1])
    optimizer.build(pair)
    assert [optimizer.is_noisy(v) for v in pair] == [False, True]
