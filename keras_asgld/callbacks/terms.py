"""The terms of an optimizer's last step, recovered from what it left behind.

Nothing is added to the step itself. The noise is a pure function of the update, so it
can be drawn again; the running averages before and after the step give the gradient
that the rule was given. For each optimizer there is one function

    terms(before, after, z, *numbers) -> gradient step, noise, mean, heat

of tensors of one shape: what the gradient moved the variable by, the random part of
the noise, its mean (ASGLD's alone), and a quantity whose average is a temperature. Of
the gradient step, only the norm matters: its sign is not kept.
"""

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from keras_asgld import noise
from keras_asgld.optimizers import ASGLD, PSGLD, SGHMC, SGLD
from keras_asgld.optimizers.compiled import compiled, in_one_call


def asgld(before, after, z, learning_rate, decay, momentum, noise):
    old_mu, _, _ = before
    mu, C, _ = after
    gradient = (mu - momentum * old_mu) / (1 - momentum)
    return (
        learning_rate * gradient,
        learning_rate * noise * ops.sqrt(C) * z,
        learning_rate * noise * mu,
        # Of the mean path's step, learning_rate * (1 + noise), and this noise.
        learning_rate * ops.square(noise) * C / (2 * (1 + noise)),
    )


def sgld(before, after, z, learning_rate, decay, temperature):
    (old,), (new,) = before, after
    push = ops.sqrt(2 * learning_rate * temperature) * z
    # Before the step came the decoupled weight decay.
    step = old - learning_rate * decay * old + push - new
    return step, push, ops.zeros_like(z), temperature * ops.ones_like(z)


def psgld(before, after, z, learning_rate, decay, temperature, rho, epsilon):
    (old_velocity, _), (velocity, _) = before, after
    square = ops.maximum(velocity - rho * old_velocity, 0.0) / (1 - rho)
    G = 1 / (epsilon + ops.sqrt(velocity))
    push = ops.sqrt(2 * learning_rate * temperature * G) * z
    step = learning_rate * G * ops.sqrt(square)
    return step, push, ops.zeros_like(z), temperature * ops.ones_like(z)


def sghmc(before, after, z, learning_rate, decay, momentum, temperature):
    (old, _), (new, _) = before, after
    push = ops.sqrt(2 * (1 - momentum) * learning_rate * temperature) * z
    # A free particle's momentum has the variance 2 η T / (1 + ρ).
    kinetic = (1 + momentum) * ops.square(new) / (2 * learning_rate)
    kinetic = ops.where(learning_rate > 0, kinetic, 0.0)
    return momentum * old + push - new, push, ops.zeros_like(z), kinetic


@dataclasses.dataclass(frozen=True)
class Family:
    """How the steps of one optimizer are read.

    Attributes:
        terms: As above; `numbers` are the learning rate, the weight decay of the
            variable, and the optimizer's own.
        names: The attributes that hold the optimizer's own numbers.
        rate: The effective learning rate, from the learning rate and these.
    """

    terms: Callable
    names: tuple
    rate: Callable


FAMILIES = {
    ASGLD: Family(asgld, ("momentum", "noise"), lambda eta, _, psi: eta * (1 + psi)),
    SGLD: Family(sgld, ("temperature",), lambda eta, _: eta),
    PSGLD: Family(psgld, ("temperature", "rho", "epsilon"), lambda eta, *others: eta),
    SGHMC: Family(
        sghmc, ("momentum", "temperature"), lambda eta, rho, _: eta / (1 - rho)
    ),
}


class Probe:
    """Measures single steps of an optimizer of the family.

    Attributes:
        optimizer: The one of the family.
        has_mean: Whether its noise has a mean.

    Args:
        optimizer: What the model was compiled with; a `LossScaleOptimizer` around one
            of the family is looked through.

    Raises:
        ValueError: If the optimizer is of another kind.
    """

    # The sums that are taken over each variable.
    SUMS = ("gradient", "noise", "mean", "heat", "size")

    @staticmethod
    def takes(optimizer):
        """Whether an optimizer is of the family."""
        return isinstance(_inner(optimizer), tuple(FAMILIES))

    def __init__(self, optimizer):
        optimizer = _inner(optimizer)
        family = [f for cls, f in FAMILIES.items() if isinstance(optimizer, cls)]
        if not family:
            names = ", ".join(cls.__name__ for cls in FAMILIES)
            raise ValueError(
                f"`NoiseMonitor` is for the optimizers {names}. "
                f"Received: optimizer={type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        (self.family,) = family
        self.has_mean = self.family.terms is asgld
        self._read = in_one_call(self._copies)
        self._measure = in_one_call(self._rows)

    def measures(self, optimizer):
        """Whether it was made for that optimizer."""
        return self.optimizer is _inner(optimizer)

    @property
    def paths(self):
        """The paths of the variables that a measurement has a row for."""
        return [variable.path for _, variable in self._variables()]

    def updates_next(self):
        """Whether the next training step makes an update, or only accumulates."""
        steps = self.optimizer.gradient_accumulation_steps or 1
        return steps == 1 or (int(self.optimizer._iterations) + 1) % steps == 0

    def before(self):
        """What has to be known of the state before a step: copies, on the device."""
        optimizer = self.optimizer
        own = [getattr(optimizer, name) for name in self.family.names]
        numbers = [optimizer.learning_rate, *own]
        return {
            "update": _copy(ops.cast(optimizer.iterations, "int32")),
            "numbers": [_copy(ops.cast(each, "float32")) for each in numbers],
            "state": self._read(),
        }

    def after(self, before):
        """The measurement of the last update, none of it read from the device yet.

        Args:
            before: What `before` returned, ahead of the training step. After a step
                of several updates (`steps_per_execution`) its numbers and running
                averages are not those of the last update.

        Returns:
            A dict: `sums`, a tensor of shape (variables, len(SUMS)); `rate`, the
            effective learning rate; `updates`, the number of updates since `before`.
        """
        optimizer = self.optimizer
        update = ops.cast(optimizer.iterations, "int32") - 1
        decays = tuple(
            float(optimizer.weight_decay or 0) * optimizer._use_weight_decay(variable)
            for _, variable in self._variables()
        )
        return {
            "sums": self._measure(before["state"], update, before["numbers"], decays),
            "rate": self.family.rate(*before["numbers"]),
            "updates": update + 1 - before["update"],
        }

    def _copies(self):
        return [[_copy(each) for each in row] for row in self._states()]

    def _rows(self, state, update, numbers, decays):
        words = ops.convert_to_tensor(self.optimizer._noise_words)
        rate, *own = numbers
        rows = []
        for (index, variable), old, new, decay in zip(
            self._variables(), state, self._states(), decays, strict=True
        ):
            function = compiled(
                _sums,
                self.family.terms,
                tuple(variable.shape),
                self.optimizer._is_noisy[index],
            )
            new = [_detached(each) for each in new]
            decay = ops.convert_to_tensor(decay, "float32")
            numbers = [rate, decay, *own]
            rows.append(function(old, new, words[index], update, numbers))
        return ops.stack(rows)

    def _variables(self):
        variables = self.optimizer._trainable_variables
        return [
            (index, variable)
            for index, variable in enumerate(variables)
            if self.optimizer._slots[index] is not None
        ]

    def _states(self):
        """For each variable its slots and itself.

        SGLD's step is read from it alone; of the others it tells whether it moved.
        """
        return [
            [*self.optimizer._slots[index], variable]
            for index, variable in self._variables()
        ]


def _sums(terms, shape, noisy, before, after, words, update, numbers):
    """The sums over one variable: a vector in the order of `Probe.SUMS`."""
    # A variable that had no gradient was left alone by the optimizer.
    pairs = zip(before, after, strict=True)
    moved = ops.any(ops.stack([ops.any(ops.not_equal(*pair)) for pair in pairs]))
    dtype = keras.backend.result_type(
        *(keras.backend.standardize_dtype(x.dtype) for x in after), "float32"
    )
    before, after = ([ops.cast(x, dtype) for x in state] for state in (before, after))
    key = noise.noise_key(words, update)
    z = noise.normal(key, shape) if noisy else ops.zeros(shape)
    numbers = [ops.cast(each, dtype) for each in numbers]
    gradient, push, mean, heat = terms(before, after, ops.cast(z, dtype), *numbers)
    sums = [
        ops.sum(ops.square(gradient)),
        ops.sum(ops.square(push)),
        ops.sum(ops.square(mean)),
        ops.sum(heat) * float(noisy),
        ops.sum(ops.ones_like(heat)) * float(noisy),
    ]
    sums = ops.cast(ops.stack(sums), "float32")
    return ops.where(moved, sums, 0.0)


def _inner(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)


def _copy(tensor):
    # JAX gives the memory of the old state to the new one, PyTorch writes into it.
    return ops.copy(_detached(tensor))


def _detached(tensor):
    return ops.stop_gradient(ops.convert_to_tensor(tensor))
