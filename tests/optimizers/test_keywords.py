"""Keras's keywords do in every optimizer what they do in Keras's own."""

import inspect

import keras
import numpy as np
import pytest

from tests.support import reference
from tests.support.family import as_numpy, check, run


@pytest.fixture
def gradients(gradients):
    return gradients[:30]


def test_every_keyword_of_keras_optimizers_is_accepted(member):
    theirs = set(inspect.signature(keras.optimizers.SGD).parameters)
    ours = set(inspect.signature(member.cls).parameters)
    assert theirs - {"momentum", "nesterov"} <= ours


def test_learning_rate_schedule(member, start, gradients):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([19], [0.05, 0.01])
    optimizer = member(learning_rate=schedule)
    _, values = run(optimizer, start, gradients)
    rate = lambda update: 0.05 if update <= 19 else 0.01  # noqa: E731
    check(member, optimizer, start, values, gradients, learning_rate=rate)


def test_learning_rate_callable(member, start, gradients):
    optimizer = member(learning_rate=lambda: 0.02)
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, gradients, learning_rate=0.02)


def test_learning_rate_can_be_reassigned(member, start, gradients):
    optimizer = member()
    variable, _ = run(optimizer, start, gradients[:10])
    optimizer.learning_rate = 0.01
    for g in gradients[10:]:
        optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
    rate = lambda update: 0.05 if update < 10 else 0.01  # noqa: E731
    numbers = {**member.numbers, "learning_rate": rate}
    states = reference.trajectory(optimizer, start, gradients, **numbers)
    np.testing.assert_allclose(as_numpy(variable), states[-1][0], atol=3e-5)


def test_weight_decay_is_decoupled(member, start, gradients):
    decay, lr = 0.1, member.numbers["learning_rate"]
    optimizer = member(weight_decay=decay)
    variable, values = run(optimizer, start, gradients)
    _, slots = reference.RULES[member.name]
    theta, slots = start.astype("float64"), [np.zeros_like(start)] * slots
    for update, g in enumerate(gradients.astype("float64")):
        theta = theta - lr * decay * theta
        z = reference.draw(optimizer, 0, update, theta.shape)
        theta, slots = reference.step(
            member.name, update, theta, slots, g, z, **member.numbers
        )
        np.testing.assert_allclose(values[update], theta, atol=3e-5)


def test_excluded_variables_are_not_decayed(member, start, gradients):
    optimizer = member(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["weight"])
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, gradients)


def test_clipvalue(member, start, gradients):
    optimizer = member(clipvalue=0.5)
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, np.clip(gradients, -0.5, 0.5))


@pytest.mark.parametrize("kind", ["clipnorm", "global_clipnorm"])
def test_clipping_by_norm(member, start, gradients, kind):
    optimizer = member(**{kind: 1.0})
    _, values = run(optimizer, start, gradients)
    norms = np.sqrt((gradients.astype("float64") ** 2).sum((1, 2), keepdims=True))
    check(member, optimizer, start, values, gradients / np.maximum(norms, 1.0))


def test_loss_scale_factor_divides_the_gradient(member, start, gradients):
    optimizer = member(loss_scale_factor=8.0)
    _, values = run(optimizer, start, 8 * gradients)
    check(member, optimizer, start, values, gradients)


def test_gradient_accumulation_makes_one_update_of_the_mean(member, start, gradients):
    optimizer = member(gradient_accumulation_steps=3)
    _, values = run(optimizer, start, gradients)
    means = gradients.reshape(10, 3, 4, 3).mean(axis=1)
    check(member, optimizer, start, values[2::3], means)
    np.testing.assert_array_equal(values[0], start)


def test_moving_average_of_the_weights(member, start, gradients):
    optimizer = member(use_ema=True, ema_momentum=0.9)
    variable, values = run(optimizer, start, gradients)
    average = values[0].astype("float64")
    for value in values[1:]:
        average = 0.9 * average + 0.1 * value
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(as_numpy(variable), average, atol=1e-5)
