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
    ],
)
def test_wrong_arguments_are_named(member, argument, value):
    with pytest.raises(
        ValueError, match=f"`{argument}` must be .*Received: {argument}"
    ):
        member(**{argument: value})


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
