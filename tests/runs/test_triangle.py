"""The rate that rises to a peak and falls to the end."""

import numpy as np
import pytest

from keras_asgld.runs import optimizers as named
from keras_asgld.runs.files import ExperimentError


def rate(schedule, step):
    return float(schedule(step))


@pytest.fixture
def make(make_settings):
    def settings(**changes):
        chosen = {"dataset": "cifar10", "model": "airbench", "schedule": "triangle"}
        return make_settings(**{**chosen, **changes})

    return settings


def test_the_rate_goes_from_a_fifth_to_the_peak_and_to_seven_hundredths(make):
    optimizer = named.make(make(optimizer="nesterov", epochs=4), 25)
    schedule = optimizer._learning_rate
    places = [0, 23, 100]
    values = [0.2 * 1.5, 1.5, 0.07 * 1.5]
    for step in (0, 1, 11, 23, 24, 60, 99, 100):
        expected = np.interp(step, places, values)
        assert rate(schedule, step) == pytest.approx(expected, rel=1e-5), step
    # The last step of the run is one before the end.
    assert rate(schedule, 99) > rate(schedule, 100)


def test_runs_of_few_steps_have_a_rate(make):
    for steps in (1, 2, 3):
        schedule = named.make(make(optimizer="sgd", epochs=1), steps)._learning_rate
        rates = [rate(schedule, step) for step in range(steps + 1)]
        assert rates[0] == pytest.approx(0.2 * 5.0)
        assert all(0 < each <= 5.0 for each in rates)


def test_it_has_no_drops(make):
    assert make(epochs=8).drop_epochs == []
    assert make(epochs=8, schedule="steps").drop_epochs == [6]
    with pytest.raises(
        ExperimentError,
        match=r"`drop_epochs` must be left out with --schedule=triangle, .* "
        r"Received: drop_epochs=\[3\]",
    ):
        make(epochs=8, drop_epochs=[3])


def test_a_pretrained_network_has_stages_instead(make):
    with pytest.raises(ExperimentError, match="`schedule` must be steps for a pre"):
        make(model="hub/somewhere", epochs=2)


def test_all_optimizers_take_it(make):
    for name in named.OPTIMIZERS:
        optimizer = named.make(make(optimizer=name, epochs=2), 50)
        optimizer.build([])
        peak = make(optimizer=name).hyperparameters["learning_rate"]
        assert float(optimizer.learning_rate) == pytest.approx(0.2 * peak)
