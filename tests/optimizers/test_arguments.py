"""Wrong arguments are refused and named."""

import keras
import numpy as np
import pytest

from tests.support.family import as_numpy


@pytest.mark.parametrize(
    "argument, value",
    [
        ("seed", -1),
        ("seed", 1.5),
        ("seed", True),
        ("seed", "1"),
        ("learning_rate", -0.1),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", "fast"),
        ("learning_rate", None),
        ("learning_rate", [0.1]),
        # What float32 does not hold.
        ("learning_rate", 1e39),
        ("learning_rate", 10**400),
        ("learning_rate", 1e-39),
        ("learning_rate", float("5e-324")),
    ],
)
def test_wrong_arguments_are_named(member, argument, value):
    with pytest.raises(
        ValueError, match=f"`{argument}` must be .*Received: {argument}"
    ):
        member(**{argument: value})


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    "argument, values",
    [
        ("weight_decay", ["a", -0.1, NAN, INFINITY, True, [0.1], np.ones(2)]),
        ("clipnorm", ["a", -1, NAN, INFINITY, True]),
        ("clipvalue", ["a", -1, NAN, True, np.array(-1.0)]),
        ("global_clipnorm", ["a", -1, NAN, INFINITY, True]),
        ("loss_scale_factor", ["a", 0.0, NAN, INFINITY, False]),
        ("gradient_accumulation_steps", ["a", 1, 2.5, -1, True]),
        ("ema_momentum", ["a", -0.1, 1.1, NAN, None]),
    ],
)
def test_keywords_that_keras_would_use_or_ignore_are_refused(member, argument, values):
    for value in values:
        with pytest.raises(
            ValueError, match=f"`{argument}` must be .*Received: {argument}"
        ):
            member(use_ema=True, **{argument: value})


def test_ranges_of_keywords_are_those_of_keras(member):
    words = {"gradient_accumulation_steps": "an integer >= 2", "ema_momentum": "0, 1]"}
    for name, range_of in words.items():
        with pytest.raises(ValueError) as error:
            member(use_ema=True, **{name: NAN})
        assert range_of in str(error.value)


def test_keywords_that_keras_takes_are_taken(member):
    numbers = [None, 0, 0.5, 2, np.float32(0.5), np.array(0.5), False]
    taken = {
        "weight_decay": [*numbers, keras.ops.ones(())],
        "clipnorm": numbers,
        "clipvalue": [*numbers, INFINITY],
        "global_clipnorm": numbers,
        "loss_scale_factor": [None, 1, np.float32(8.0)],
        "gradient_accumulation_steps": [None, 0, 2, np.int64(3)],
        "ema_momentum": [0.0, 1.0, np.float32(0.5), "unused"],
    }
    for name, values in taken.items():
        for value in values:
            assert getattr(member(**{name: value}), name) is value


@pytest.mark.parametrize("value", [-1.0, np.float32("nan"), float("inf"), -3])
def test_numbers_that_callables_return_are_checked(member, start, value):
    name = "temperature" if "temperature" in member.numbers else "noise"
    optimizer = member(**{name: lambda: value})
    variable = keras.Variable(start)
    with pytest.raises(ValueError, match=f"`{name}` must be finite and not negative"):
        optimizer.apply([keras.ops.convert_to_tensor(start)], [variable])
    np.testing.assert_array_equal(as_numpy(variable), start)


def test_unknown_arguments_are_refused(member):
    with pytest.raises((ValueError, TypeError), match="temprature"):
        member(temprature=1.0)


@pytest.mark.parametrize("value", [1e39, 1e300, 1e-39, 10**400])
def test_what_float32_does_not_hold_is_refused_when_assigned(member, value):
    optimizer = member()
    names = ["learning_rate", *member.numbers]
    for name in dict.fromkeys(names):
        before = float(getattr(optimizer, name))
        with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}"):
            setattr(optimizer, name, value)
        assert float(getattr(optimizer, name)) == before


def test_a_momentum_that_is_one_in_float32_is_refused(member):
    for name in {"momentum", "rho"} & set(member.numbers):
        for value in (1 - 1e-12, np.nextafter(1.0, 0)):
            with pytest.raises(ValueError, match=f"`{name}` must be in the range"):
                member(**{name: value})
        assert getattr(member(**{name: 1 - 2.0**-24}), name) < 1
