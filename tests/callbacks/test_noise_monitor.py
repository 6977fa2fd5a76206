import csv
import functools

import keras
import numpy as np
import pytest

from keras_asgld import NoiseMonitor
from keras_asgld.callbacks.probe import Probe
from tests.support.family import typical_members
from tests.support.monitored import (
    FAMILY,
    STEPS,
    as_numpy,
    by_hand,
    compiled,
    fit,
    make,
)
from tests.support.monitored import record_gradients as recording

# SGLD's gradient is read from the change of the variables, in float32.
TOLERANCE = {"rtol": 2e-4}


@pytest.fixture(params=FAMILY)
def name(request):
    return request.param


@functools.cache
def eager(name):
    """A run of three epochs: optimizer, gradients, and what the monitor says of it."""
    optimizer = make(name)
    gradients = recording(optimizer)
    history = fit(compiled(optimizer, run_eagerly=True), 3, [NoiseMonitor()])
    return optimizer, gradients, history


def check(history, epoch, expected):
    for figure, value in expected.items():
        np.testing.assert_allclose(
            history[figure][epoch], value, **TOLERANCE, err_msg=figure
        )


def mean(figures):
    names = set(figures[0]) - {"noise_to_gradient"}
    means = {name: np.mean([each[name] for each in figures]) for name in names}
    ratio = means["noise_norm"] / means["gradient_norm"]
    return means | {"noise_to_gradient": ratio}


def test_the_last_step_of_each_epoch_is_the_one_by_hand(name):
    optimizer, gradients, history = eager(name)
    for epoch in range(3):
        check(history, epoch, by_hand(optimizer, gradients, STEPS * (epoch + 1) - 1))


def test_measurements_of_an_epoch_are_averaged(name):
    optimizer = make(name)
    gradients = recording(optimizer)
    model = compiled(optimizer, run_eagerly=True)
    history = fit(model, 1, [NoiseMonitor(frequency=1)])
    figures = [by_hand(optimizer, gradients, step) for step in range(STEPS)]
    check(history, 0, mean(figures))


@pytest.mark.parametrize("name", typical_members(FAMILY))
def test_the_compiled_step_gives_the_same(name):
    _, _, expected = eager(name)
    found = fit(compiled(make(name)), 3, [NoiseMonitor()])
    assert set(found) == set(expected)
    for figure, values in expected.items():
        np.testing.assert_allclose(found[figure], values, rtol=2e-3)


def test_watching_changes_nothing():
    plain, watched = compiled(make("ASGLD")), compiled(make("ASGLD"))
    fit(plain, 2, [])
    fit(watched, 2, [NoiseMonitor(1)])
    for one, other in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_clipping_decay_and_schedule_are_as_the_rule_saw_them(name):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.05, 0.01])
    optimizer = make(name, learning_rate=schedule, clipnorm=0.1, weight_decay=0.3)
    gradients = recording(optimizer)
    model = compiled(optimizer, run_eagerly=True)
    history = fit(model, 1, [NoiseMonitor()])
    # Steps 0, 1 and 2 have the first rate, so the measured one does.
    check(history, 0, by_hand(optimizer, gradients, 2))
    assert all(np.linalg.norm(g) < 0.1001 for g in gradients.values())


def test_the_rate_is_that_of_the_step_and_not_of_the_next():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.05, 0.01])
    model = compiled(make("SGLD", learning_rate=schedule))
    history = fit(model, 2, [NoiseMonitor()])
    np.testing.assert_allclose(history["effective_learning_rate"], [0.05, 0.01])


def test_the_accumulated_step_is_measured(name):
    optimizer = make(name, gradient_accumulation_steps=2)
    gradients = recording(optimizer)
    model = compiled(optimizer, run_eagerly=True)
    history = fit(model, 2, [NoiseMonitor()])
    # Six steps make three updates: after steps 2, 4 and 6.
    check(history, 0, by_hand(optimizer, gradients, 0))
    check(history, 1, by_hand(optimizer, gradients, 2))


@pytest.mark.parametrize("name", typical_members(FAMILY))
def test_excluded_variables_have_no_noise(name):
    optimizer = make(name)
    optimizer.exclude_from_noise(var_names=["hidden"])
    gradients = recording(optimizer)
    model = compiled(optimizer, run_eagerly=True)
    history = fit(model, 1, [NoiseMonitor(per_layer=True)])
    check(history, 0, by_hand(optimizer, gradients, 2, noisy=lambda index: index > 1))
    layers = [history[f"noise_norm/{layer}"][0] for layer in ("hidden", "output")]
    assert layers[0] == 0
    np.testing.assert_allclose(layers[1], history["noise_norm"][0])


def test_layers_add_up():
    model = compiled(make("ASGLD"))
    history = fit(model, 2, [NoiseMonitor(per_layer=True)])
    for figure in ("noise_norm", "gradient_norm"):
        layers = [history[f"{figure}/{layer}"] for layer in ("hidden", "output")]
        np.testing.assert_allclose(
            np.linalg.norm(layers, axis=0), history[figure], rtol=1e-5
        )


def test_an_unused_variable_does_not_count(name):
    # `spare` has no gradient: Keras leaves it alone, and warns of it.
    spare = keras.Variable(np.ones((4,), "float32"), name="spare")
    kernel = keras.Variable(np.ones((4, 4), "float32"), name="kernel")
    optimizer = make(name)
    optimizer.build([kernel, spare])
    probe = Probe(optimizer)
    before = probe.before()
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([keras.ops.ones((4, 4)), None], [kernel, spare])
    sums = as_numpy(probe.after(before)["sums"])
    assert sums[0].any() and not sums[1].any()


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="PyTorch has no steps_per_execution"
)
def test_within_an_execution_of_several_steps():
    history = fit(compiled(make("ASGLD")), 2, [NoiseMonitor(1)])
    several = fit(
        compiled(make("ASGLD"), steps_per_execution=STEPS), 2, [NoiseMonitor()]
    )
    last = fit(compiled(make("ASGLD")), 2, [NoiseMonitor()])
    assert "gradient_norm" in history and "gradient_norm" not in several
    for figure in ("noise_norm", "temperature", "effective_learning_rate"):
        np.testing.assert_allclose(several[figure], last[figure], rtol=1e-4)


def test_a_loss_scale_optimizer_is_looked_through_and_skipped_steps_left_out():
    optimizer = make("ASGLD")
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=4.0)
    model = compiled(scaled)
    x = np.ones((24, 4), "float32")
    x[8:16] = np.inf  # the second step's gradients are not finite
    history = model.fit(
        x,
        np.zeros(24),
        batch_size=8,
        shuffle=False,
        verbose=0,
        callbacks=[NoiseMonitor(1)],
    ).history
    assert np.isfinite(history["gradient_norm"][0]) and history["noise_norm"][0] > 0


def test_csv_logger_and_progress_bar_see_the_figures(tmp_path, capsys):
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = fit(compiled(make("ASGLD")), 2, [NoiseMonitor(), log], verbose=2)
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose(
        [float(row["noise_norm"]) for row in rows], history["noise_norm"]
    )
    assert "mean_share" in capsys.readouterr().out


def test_other_optimizers_are_refused():
    model = compiled("adam")
    with pytest.raises(ValueError, match="is for the optimizers ASGLD.*=Adam"):
        fit(model, 1, [NoiseMonitor()])


@pytest.mark.parametrize("frequency", [0, 1.5, True])
def test_a_wrong_frequency_is_named(frequency):
    with pytest.raises(ValueError, match="`frequency` must be an integer >= 1"):
        NoiseMonitor(frequency)


def test_per_layer_is_true_or_false():
    with pytest.raises(ValueError, match="`per_layer` must be True or False.*='no'"):
        NoiseMonitor(per_layer="no")
