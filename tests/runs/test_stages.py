"""The two stages of fine-tuning, on any backend: rates, velocities, clipping."""

import math

import keras
import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.models.pretrained import set_trainable
from keras_asgld.runs import optimizers as named
from keras_asgld.runs import records, stages, training
from keras_asgld.runs.files import ExperimentError
from tests.support.interrupting import Interrupting

jax = keras.backend.backend() == "jax"
trains = pytest.mark.skipif(jax, reason="Keras freezes nothing in training on JAX")


@pytest.fixture
def chosen(make_settings):
    """Settings of fine-tuning; the network is `network`, whatever they name."""

    def choose(optimizer="asgld", **flags):
        changes = flags.pop("changes", {})
        flags["weights"] = "imagenet"
        model = "applications/MobileNetV2"
        return make_settings(optimizer, model=model, flags=flags, **changes)

    return choose


class Watching(Interrupting):
    """Calls a function after each epoch."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def epoch(self, numbers):
        super().epoch(numbers)
        self.seen()


@pytest.fixture
def run(tmp_path):
    """A function that trains and returns the record and the network.

    Called again with the same `folder` it goes on. `seen` gets the network after each
    epoch.
    """
    digits = data.load("digits", batch_size=64, train_size=160)

    def start(settings, folder=None, after=None, seen=None):
        made = []

        def network(seed):
            keras.utils.set_random_seed(seed)
            inputs = keras.Input((8, 8, 1))
            x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
            x = keras.layers.BatchNormalization()(x)
            trunk = keras.Model(inputs, keras.layers.Flatten()(x))
            set_trainable(trunk, True)  # but its batch norm, as `models.build` does
            inputs = keras.Input((8, 8, 1))
            outputs = keras.layers.Dense(10)(trunk(inputs))
            made.append(keras.Model(inputs, outputs))
            return made[-1]

        progress = Interrupting(after)
        if seen is not None:
            progress = Watching(lambda: seen(made[-1]))
        place = tmp_path / (folder or f"run{len(list(tmp_path.iterdir()))}")
        try:
            record = training.run(settings, place, digits, progress, network=network)
        except KeyboardInterrupt:
            return None, None
        return record, made[-1]

    return start


@trains
def test_the_learning_rate_is_set_when_the_pretrained_part_is_let_go(run, chosen):
    record, _ = run(chosen("sgd", freeze=1, unfreeze_rate=0.05))
    rates = [epoch["learning_rate"] for epoch in record["epochs"]]
    np.testing.assert_allclose(rates, [0.02, 0.05, 0.05, 0.005], rtol=1e-5)
    together = chosen(
        "sgd", freeze=2, unfreeze_rate=0.05, changes={"drop_epochs": [1, 2, 3]}
    )
    expected = {0: 0.02, 1: 0.002, 2: 0.05, 3: 0.005}
    assert stages.rates(together) == pytest.approx(expected)
    assert stages.rates(chosen("sgd", freeze=4)) == pytest.approx({0: 0.02, 3: 0.002})
    at_once = chosen("sgd", freeze=0, unfreeze_rate=0.05)
    assert stages.rates(at_once) == pytest.approx({0: 0.05, 3: 0.005})


@pytest.mark.parametrize("optimizer", named.OPTIMIZERS)
def test_a_new_layer_and_an_unfrozen_network_have_rates_of_their_own(
    chosen, make_settings, optimizer
):
    row = named.OPTIMIZERS[optimizer]
    rates = stages.rates(chosen(optimizer))
    expected = {0: row.new_layer_rate, 2: row.unfreeze_rate, 3: row.unfreeze_rate / 10}
    assert rates == pytest.approx(expected)
    assert 1e-6 <= row.unfreeze_rate <= 1e-4 < row.new_layer_rate <= 0.02
    given = chosen(optimizer, changes={"overrides": {"learning_rate": 0.5}})
    assert stages.rates(given)[0] == 0.5
    alone = make_settings(optimizer, model="cnn").hyperparameters["learning_rate"]
    table = row.hyperparameters["learning_rate"]
    assert alone == (table[""] if isinstance(table, dict) else table)


def moved(run, chosen, optimizer, **flags):
    """How far the weights move in the second stage, of two epochs."""
    overrides = {"learning_rate": 0.01}
    changes = {"weight_decay": 0.0, "drop_epochs": [], "overrides": overrides}
    changes["epochs"] = 3
    heads = []

    def keep(model):
        kernel, bias = model.layers[-1].get_weights()
        heads.append(np.append(kernel, bias))

    settings = chosen(optimizer, freeze=1, changes=changes, **flags)
    record, _ = run(settings, seen=keep)
    assert record["status"] == "finished" and len(heads) == 3
    return float(np.linalg.norm(heads[2] - heads[0]))


def test_a_pretrained_network_is_trained_for_less_long(chosen, make_settings):
    changes = {"epochs": None, "batch_size": None, "dataset": "cifar10"}
    settings = chosen(changes=dict(changes))
    assert (settings.epochs, settings.batch_size) == (10, 32)
    assert settings.fine_tuning["freeze"] == 5
    other = make_settings(model="cnn", **changes)
    assert (other.epochs, other.batch_size) == (200, 128)
    one = chosen(changes={"epochs": 1})
    assert one.fine_tuning["freeze"] == 1


@trains
@pytest.mark.parametrize("optimizer", ["momentum", "sghmc", "baoa", "sgnht"])
def test_no_velocity_of_the_new_layers_rate_goes_on(run, chosen, optimizer):
    assert moved(run, chosen, optimizer, unfreeze_rate=1e-16) < 1e-5


@trains
@pytest.mark.parametrize(
    "optimizer, after",
    [
        ("sghmc", (2,)),
        *(
            pytest.param(optimizer, (2, 3), marks=pytest.mark.slow)
            for optimizer in ("momentum", "sghmc", "adam", "scale-free-asgld")
        ),
    ],
)
def test_resumed_at_or_within_the_second_stage_equals_uninterrupted(
    run, chosen, without_timings, optimizer, after
):
    settings = chosen(optimizer, freeze=2, unfreeze_rate=0.01)
    whole, expected = run(settings)
    for epoch in after:
        assert run(settings, "cut", epoch) == (None, None)
    resumed, model = run(settings, "cut")
    assert without_timings(resumed) == without_timings(whole)
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@trains
@pytest.mark.parametrize("norm, low, high", [(1e-3, 1e-5, 6.1e-3), (0.0, 0.1, 10)])
def test_gradients_are_clipped_once_the_pretrained_part_is_let_go(
    run, chosen, norm, low, high
):
    # Six steps of rate 1, none of which is longer than the norm; 0 is for no limit.
    flags = {"unfreeze_rate": 1.0, "unfreeze_clipnorm": norm}
    assert low < moved(run, chosen, "sgd", **flags) < high
    assert chosen("sgd").fine_tuning["unfreeze_clipnorm"] == 1.0


@trains
def test_gradients_of_the_new_layer_alone_are_not_clipped(run, chosen):
    changes = {"epochs": 1}
    low, none = (
        run(chosen("sgd", freeze=1, unfreeze_clipnorm=norm, changes=changes))[1]
        for norm in (1e-9, 0.0)
    )
    for one, other in zip(low.get_weights(), none.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@trains
@pytest.mark.parametrize("rate, warns", [(10.0, True), (0.05, False)])
def test_a_new_layer_worse_than_guessing_is_warned_of_once(
    run, chosen, capsys, rate, warns
):
    changes = {"overrides": {"learning_rate": rate}}
    record, _ = run(chosen("asgld", freeze=3, changes=changes))
    loss = record["epochs"][2]["test_loss"]
    assert (loss > math.log(10)) is warns
    printed = capsys.readouterr().err.splitlines()
    lines = [line for line in printed if "guessing" in line]
    assert len(lines) == warns
    for line in lines:
        assert "2.30" in line and f"{loss:.2f}" in line


def test_a_record_of_the_time_of_factors_is_refused_by_name(chosen, tmp_path):
    settings = chosen()
    old = settings.to_json()
    old["fine_tuning"] = {
        "weights": "imagenet",
        "freeze": 2,
        "unfreeze_factor": 0.0001,
        "noisy": False,
    }
    with pytest.raises(ExperimentError, match="unfreeze_factor=0.0001, not None"):
        records.check_same(tmp_path, {"settings": old}, settings)
    records.check_same(tmp_path, {"settings": settings.to_json()}, settings)


@pytest.mark.parametrize(
    "flags, words",
    [
        ({"freeze": -1}, "`freeze` must be"),
        ({"unfreeze_rate": 0.0}, "`unfreeze_rate` must be"),
        ({"unfreeze_rate": float("inf")}, "`unfreeze_rate` must be"),
        ({"unfreeze_rate": 1e39}, "`unfreeze_rate` must be"),
        ({"unfreeze_clipnorm": -1.0}, "`unfreeze_clipnorm` must be"),
        (
            {"freeze": 0, "changes": {"overrides": {"learning_rate": 0.1}}},
            "`learning_rate` must be left out with --freeze=0",
        ),
    ],
)
def test_flags_out_of_range_are_refused(chosen, flags, words):
    with pytest.raises(ExperimentError, match=words):
        chosen(**flags)


@pytest.mark.skipif(not jax, reason="of JAX alone")
def test_jax_is_refused_in_one_line(run, chosen):
    with pytest.raises(ExperimentError, match="`freeze` must be 0 on JAX"):
        run(chosen())
