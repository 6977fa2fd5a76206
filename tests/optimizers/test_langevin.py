"""What a subclass declares, and what the base class makes of it."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

import keras_asgld
from keras_asgld.optimizers.langevin import LangevinOptimizer
from keras_asgld.optimizers.terms import Terms
from tests.support import reference
from tests.support.family import (
    FAMILY,
    as_numpy,
    regression_data,
    small_model,
    typical_members,
)

# One that is packed with others of its size, one that is updated alone or in parts.
SHAPES = [(3,), (4, 5), (300, 500)]


def arrays(seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype("float32") for shape in SHAPES]


def moved(optimizer, steps=3):
    """The variables, started from `arrays(0)`, after steps by `arrays(1, 2, …)`."""
    variables = [keras.Variable(a, name=f"v{i}") for i, a in enumerate(arrays(0))]
    for step in range(1, steps + 1):
        gradients = [ops.convert_to_tensor(a) for a in arrays(step)]
        optimizer.apply(gradients, variables)
    return variables


def test_every_optimizer_declares_its_rule_its_slots_and_its_terms():
    public = [getattr(keras_asgld, name) for name in keras_asgld.__all__]
    classes = [each for each in public if inspect.isclass(each)]
    found = [cls for cls in classes if issubclass(cls, LangevinOptimizer)]
    assert len(found) >= 4
    for cls in found:
        assert cls.rule is not None and cls.terms is not None
        assert isinstance(cls.slot_names, tuple)
        assert "update_step" not in vars(cls)


def test_terms_and_numbers_fit_together(member):
    optimizer = member()
    state = [ops.ones((2,))] * (len(optimizer.slot_names) + 1)
    numbers = optimizer.numbers(optimizer.learning_rate)
    terms = optimizer.terms(state, state, ops.ones((2,)), 0.0, *numbers)
    assert isinstance(terms, Terms)
    for term in terms:
        assert term is None or tuple(term.shape) == (2,)
    rate = float(ops.convert_to_tensor(optimizer.effective_learning_rate(*numbers)))
    factor = {
        "ASGLD": 2.5,
        "ScaleFreeASGLD": 2.5,
        "SGHMC": 5.0,
        "BAOA": 5.0,
        "SGNHT": 5.0,
    }.get(member.name, 1.0)
    assert rate == pytest.approx(0.05 * factor, rel=1e-6)


# A subclass that overrides `update_step`, as one of Keras's own would


def with_decay(cls):
    class Decayed(cls):
        def update_step(self, gradient, variable, learning_rate):
            decay = 0.1 * ops.convert_to_tensor(variable)
            super().update_step(gradient + decay, variable, learning_rate)

    return Decayed


def test_a_subclass_may_add_to_the_gradient_of_each_variable(member):
    optimizer = with_decay(member.cls)(**member.numbers, seed=7)
    variables = moved(optimizer)
    _, slot_count = reference.RULES[member.name]
    for index, (variable, theta) in enumerate(zip(variables, arrays(0), strict=True)):
        slots = [np.zeros_like(theta, "float64")] * slot_count
        for update in range(3):
            gradient = arrays(update + 1)[index] + 0.1 * theta.astype("float64")
            z = reference.draw(optimizer, index, update, theta.shape)
            theta, slots = reference.step(
                member.name, update, theta, slots, gradient, z, **member.numbers
            )
        np.testing.assert_allclose(as_numpy(variable), theta, atol=3e-5)


@pytest.mark.parametrize("name", ["SGD", *typical_members()])
def test_a_subclass_that_overrides_the_step_trains_a_model(name):
    if name == "SGD":
        optimizer = with_decay(keras.optimizers.SGD)(0.05)
    else:
        cls, numbers = FAMILY[name]
        optimizer = with_decay(cls)(**numbers, seed=7)
    model = small_model()
    model.compile(optimizer=optimizer, loss="mse")
    losses = model.fit(*regression_data(), epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


# An optimizer nobody has declared before: its rule, its numbers, and no more


def sign_rule(gradient, variable, z, learning_rate, scale):
    return (variable - learning_rate * ops.sign(gradient + scale * z),)


class SignDescent(LangevinOptimizer):
    rule = staticmethod(sign_rule)

    def numbers(self, learning_rate):
        return learning_rate, 0.5


def test_a_new_optimizer_is_a_rule_and_its_numbers():
    optimizer = SignDescent(0.01, seed=7)
    variables = moved(optimizer)
    for index, (variable, theta) in enumerate(zip(variables, arrays(0), strict=True)):
        for update in range(3):
            z = reference.draw(optimizer, index, update, theta.shape)
            gradient = arrays(update + 1)[index]
            theta = theta - 0.01 * np.sign(gradient + 0.5 * z)
        # A sign may fall on either side where its argument rounds to zero.
        wrong = ~np.isclose(as_numpy(variable), theta, atol=1e-6)
        assert wrong.mean() < 1e-4


# A number that all variables together decide


def norm_rule(gradient, variable, z, learning_rate, norm):
    return (variable - learning_rate * gradient / norm,)


class Normalised(LangevinOptimizer):
    rule = staticmethod(norm_rule)

    def network_numbers(self, gradients, variables):
        return (ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients)),)


def test_a_number_of_the_whole_network_is_computed_before_the_groups():
    variables = moved(Normalised(1.0, seed=7), steps=1)
    gradients = [g.astype("float64") for g in arrays(1)]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    for variable, start, gradient in zip(variables, arrays(0), gradients, strict=True):
        np.testing.assert_allclose(
            as_numpy(variable), start - gradient / norm, atol=1e-6
        )


# What can be asked of an optimizer


def test_slots_and_noise_of_a_variable_can_be_asked_for(member):
    optimizer = member()
    [variable, *_] = moved(optimizer)
    assert len(optimizer.slots(variable)) == len(optimizer.slot_names)
    for slot, name in zip(optimizer.slots(variable), optimizer.slot_names, strict=True):
        assert slot.name.endswith(name)
        assert tuple(slot.shape) == (3,)
    assert optimizer.is_noisy(variable)
    np.testing.assert_array_equal(
        as_numpy(optimizer.standard_normal(variable, 2)),
        reference.draw(optimizer, 0, 2, (3,)),
    )


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_learning_rate_that_is_assigned_is_checked(member, value):
    optimizer = member()
    with pytest.raises(ValueError, match="`learning_rate` must be .*Received"):
        optimizer.learning_rate = value
    assert float(ops.convert_to_tensor(optimizer.learning_rate)) == np.float32(0.05)


def test_every_number_that_is_assigned_is_checked(member):
    optimizer = member()
    names = set(member.numbers) - {"learning_rate"}
    for name in names:
        before = optimizer.get_config()[name]
        for value in (-1.0, float("nan"), "much", True):
            with pytest.raises(ValueError, match=f"`{name}` must be .*Received"):
                setattr(optimizer, name, value)
        if name in ("momentum", "rho"):
            with pytest.raises(ValueError, match=rf"`{name}` must be in .*\[0, 1\)"):
                setattr(optimizer, name, 1.0)
        assert optimizer.get_config()[name] == before


def test_a_class_without_a_rule_says_so():
    class Nothing(LangevinOptimizer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must declare `rule`"):
        Nothing(0.1)
