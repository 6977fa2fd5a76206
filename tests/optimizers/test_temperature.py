"""The temperature of SGLD, PSGLD and SGHMC behaves as the learning rate does."""

import json

import keras
import numpy as np
import pytest

from keras_asgld import CyclicTemperature
from tests.support import reference
from tests.support.family import FAMILY, Member, as_numpy, run, run_in_xla

schedules = keras.optimizers.schedules


@pytest.fixture(
    params=[n for n, (_, numbers) in FAMILY.items() if "temperature" in numbers]
)
def sampler(request):
    return Member(request.param)


@pytest.fixture
def gradients(gradients):
    return gradients[:20]


def check(sampler, optimizer, start, value, gradients, temperature):
    numbers = {**sampler.numbers, "temperature": temperature}
    states = reference.trajectory(optimizer, start, gradients, **numbers)
    np.testing.assert_allclose(value, states[-1][0], rtol=0, atol=3e-5)


def test_burn_in_is_a_schedule(sampler, start, gradients):
    optimizer = sampler(temperature=schedules.PiecewiseConstantDecay([9], [0.0, 0.1]))
    _, values = run(optimizer, start, gradients)
    noise_starts = lambda update: 0.0 if update <= 9 else 0.1  # noqa: E731
    check(sampler, optimizer, start, values[-1], gradients, noise_starts)


def test_callable(sampler, start, gradients):
    optimizer = sampler(temperature=lambda: 0.3)
    _, values = run(optimizer, start, gradients)
    check(sampler, optimizer, start, values[-1], gradients, 0.3)


def test_reassignment_takes_effect_and_is_saved(sampler, start, gradients):
    optimizer = sampler(temperature=0.1)
    variable, _ = run(optimizer, start, gradients[:8])
    optimizer.temperature = 0.4
    for gradient in gradients[8:]:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    changes = lambda update: 0.1 if update < 8 else 0.4  # noqa: E731
    check(sampler, optimizer, start, as_numpy(variable), gradients, changes)
    assert optimizer.get_config()["temperature"] == pytest.approx(0.4)
    assert any(v is optimizer.temperature for v in optimizer.variables)


def test_schedule_survives_the_configuration(sampler):
    optimizer = sampler(temperature=CyclicTemperature(0.5, 10, 3))
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == optimizer.get_config()
    assert isinstance(copy._temperature, CyclicTemperature)


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan"), None, "hot", True])
def test_wrong_temperatures_are_named(sampler, value):
    with pytest.raises(ValueError, match="`temperature` must be .*Received: temper"):
        sampler(temperature=value)


def test_one_paragraph_explains_it_in_all_three(sampler):
    paragraph = sampler.cls.__doc__.split("Temperature. ")[1]
    paragraph = paragraph.split("\n\n")[0]
    others = [FAMILY[name][0].__doc__ for name in ("SGLD", "PSGLD", "SGHMC")]
    assert all(paragraph in doc for doc in others)
    assert "1 / N" in paragraph
    assert "{{" not in sampler.cls.__doc__


# Cyclical sampling


def test_cyclic_temperature_is_on_in_each_tail():
    schedule = CyclicTemperature(0.5, cycle_steps=10, sampling_steps=3)
    expected = [0.5 if step % 10 in (7, 8, 9) else 0.0 for step in range(40)]
    assert [float(schedule(step)) for step in range(40)] == expected


def test_cyclic_sampling_follows_the_reference_rule(sampler, start, gradients):
    optimizer = sampler(
        learning_rate=schedules.CosineDecayRestarts(0.1, 8, t_mul=1.0),
        temperature=CyclicTemperature(0.1, 8, 2),
    )
    values = run_in_xla(optimizer, start, gradients)
    numbers = {
        **sampler.numbers,
        "learning_rate": lambda k: 0.05 * (1 + np.cos(np.pi * (k % 8) / 8)),
        "temperature": lambda k: 0.1 if k % 8 >= 6 else 0.0,
    }
    states = reference.trajectory(optimizer, start, gradients, **numbers)
    np.testing.assert_allclose(values[-1], states[-1][0], rtol=0, atol=5e-5)


@pytest.mark.parametrize(
    "argument, value",
    [
        ("temperature", -1.0),
        ("temperature", lambda: 1.0),
        ("cycle_steps", 0),
        ("cycle_steps", 2.5),
        ("sampling_steps", 0),
        ("sampling_steps", 11),
        ("sampling_steps", True),
    ],
)
def test_wrong_cycles_are_named(argument, value):
    numbers = {"temperature": 1.0, "cycle_steps": 10, "sampling_steps": 3}
    with pytest.raises(
        ValueError, match=f"`{argument}` must be .*Received: {argument}"
    ):
        CyclicTemperature(**{**numbers, argument: value})
