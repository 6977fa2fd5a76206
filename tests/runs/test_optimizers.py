import pathlib

import keras
import pytest

from keras_asgld import data
from keras_asgld.runs import optimizers as named
from keras_asgld.runs import tasks
from keras_asgld.runs.files import ExperimentError
from keras_asgld.studies import found_rates


@pytest.mark.parametrize("name", named.OPTIMIZERS)
def test_every_optimizer_lowers_a_convex_loss(make_settings, name):
    optimizer = named.make(make_settings(name, dataset="cifar10"), 100)
    variable = keras.Variable([2.0, -3.0])
    optimizer.build([variable])
    for _ in range(30):
        optimizer.apply([variable.value + 0.0])
    assert float(keras.ops.sum(keras.ops.square(variable))) < 13 - 0.1


def test_the_rate_drops_with_the_first_step_after_the_epoch(make_settings):
    optimizer = named.make(
        make_settings(
            "sgd", dataset="cifar10", epochs=9, drop_epochs=[2, 5], drop_factor=0.1
        ),
        7,
    )
    schedule = optimizer._learning_rate
    steps = [0, 13, 14, 34, 35]
    assert [round(float(schedule(step)), 6) for step in steps] == [
        0.1,
        0.1,
        0.01,
        0.01,
        0.001,
    ]


def test_the_paper_drops_at_150_of_200(make_settings):
    assert make_settings("sgd", epochs=200).drop_epochs == [150]


def test_baselines_follow_the_protocol(make_settings):
    adam = make_settings("adam", dataset="cifar10", model="resnet34")
    dense = make_settings("adam", dataset="cifar10", model="densenet121")
    assert adam.hyperparameters == {"learning_rate": 0.001, "momentum": 0.99}
    assert dense.hyperparameters["momentum"] == 0.9
    made = named.make(adam, 10)
    assert (made.beta_1, made.beta_2, made.epsilon) == (0.99, 0.999, 1e-8)
    adagrad = named.make(make_settings("adagrad", dataset="cifar10"), 10)
    assert adagrad.initial_accumulator_value == 0
    momentum = make_settings("momentum", dataset="cifar10").hyperparameters
    assert momentum == {"learning_rate": 0.1, "momentum": 0.9}


def test_the_papers_own_numbers_have_a_name(make_settings):
    made = named.make(make_settings("asgld-paper"), 10)
    assert (float(made.noise), made.momentum) == (pytest.approx(0.01), 0.9)


def test_rates_on_the_digits_are_those_that_tune_found(make_settings):
    folder = pathlib.Path(__file__).parents[2] / "docs/results/digits-tuning"
    for name, found in found_rates.read(folder, "digits", "digits").items():
        own = make_settings(name).hyperparameters
        assert own["learning_rate"] == found["learning_rate"], name


def test_overrides_reach_the_optimizer(make_settings):
    chosen = make_settings("asgld", overrides={"noise": 0.5, "learning_rate": 0.02})
    optimizer = named.make(chosen, 10)
    assert optimizer.noise == 0.5
    assert round(float(optimizer.learning_rate), 6) == 0.02
    assert optimizer.seed == 0


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"seed": -1},
        {"weight_decay": -1.0},
        {"weight_decay": float("nan")},
        {"drop_factor": 0.0},
        {"drop_epochs": [3, 3]},
        {"overrides": {"learning_rate": -0.1}},
    ],
)
def test_settings_out_of_range_are_refused_by_name(make_settings, change):
    name = next(iter(change.get("overrides", change)))
    with pytest.raises(ExperimentError, match=f"`{name}` must be .* Received: {name}="):
        make_settings("asgld", **change)


@pytest.mark.parametrize("name", ["sgld", "psgld", "sghmc"])
def test_samplers_sample_the_posterior_of_the_examples_trained_on(make_settings, name):
    assert make_settings(name).hyperparameters["temperature"] == 1 / 160
    whole = make_settings(name, dataset="cifar10", train_size=None)
    assert whole.hyperparameters["temperature"] == 1 / 50_000
    held_out = make_settings(name, train_size=None, validation_size=437)
    assert held_out.hyperparameters["temperature"] == 1 / 1000
    cold = make_settings(name, overrides={"temperature": 0.0})
    assert named.make(cold, 10).temperature == 0.0


def test_the_table_knows_how_many_examples_there_are():
    assert tasks.TASKS["digits"].examples == data.load("digits").train_size


def test_a_sampler_takes_its_settings_momentum_and_seed(make_settings):
    chosen = make_settings("sghmc", seed=7, overrides={"temperature": 0.5})
    made = named.make(chosen, 10)
    assert (made.momentum, made.temperature, made.seed) == (0.9, 0.5, 7)
