"""Measures an optimizer's last step by what it left behind: see `optimizers.terms`."""

import keras
from keras import ops

from keras_asgld import backend, noise, optimizers
from keras_asgld.callbacks.steps import inner_optimizer


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
        """Whether an optimizer says what its steps are made of."""
        return getattr(inner_optimizer(optimizer), "terms", None) is not None

    def __init__(self, optimizer):
        optimizer = inner_optimizer(optimizer)
        if not self.takes(optimizer):
            names = ", ".join(cls.__name__ for cls in _family())
            raise ValueError(
                f"`NoiseMonitor` is for the optimizers {names}, and for "
                "subclasses of LangevinOptimizer with `terms`. "
                f"Received: optimizer={type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self.has_mean = _has_mean(optimizer)
        self._read = backend.in_one_call(self._copies)
        self._measure = backend.in_one_call(self._rows)

    def measures(self, optimizer):
        """Whether it was made for that optimizer."""
        return self.optimizer is inner_optimizer(optimizer)

    @property
    def paths(self):
        """The paths of the variables that a measurement has a row for."""
        return [variable.path for variable in self._measured()]

    def updates_next(self):
        """Whether the next training step makes an update, or only accumulates."""
        steps = self.optimizer.gradient_accumulation_steps or 1
        return steps == 1 or (int(self.optimizer._iterations) + 1) % steps == 0

    def before(self):
        """What has to be known of the state before a step: copies, on the device."""
        optimizer = self.optimizer
        numbers = optimizer.numbers(optimizer.learning_rate)
        return {
            "update": _copy(optimizer.iterations),
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
        update = optimizer.iterations - 1
        decays = tuple(
            float(optimizer.weight_decay or 0) * optimizer._use_weight_decay(variable)
            for variable in self._measured()
        )
        return {
            "sums": self._measure(before["state"], update, before["numbers"], decays),
            "rate": optimizer.effective_learning_rate(*before["numbers"]),
            "updates": update + 1 - before["update"],
        }

    def _copies(self):
        return [[_copy(each) for each in row] for row in self._states()]

    def _rows(self, state, update, numbers, decays):
        rows = []
        for variable, old, new, decay in zip(
            self._measured(), state, self._states(), decays, strict=True
        ):
            optimizer = self.optimizer
            sums = backend.compiled(
                _sums,
                optimizer.terms,
                tuple(variable.shape),
                optimizer.is_noisy(variable),
            )
            new = [_detached(each) for each in new]
            decay = ops.convert_to_tensor(decay, "float32")
            words = optimizer.words_of(variable)
            rows.append(sums(old, new, words, update, [decay, *numbers]))
        return ops.stack(rows)

    def _measured(self):
        optimizer = self.optimizer
        return [
            variable
            for variable in optimizer._trainable_variables
            if optimizer.slots(variable) is not None
        ]

    def _states(self):
        """For each variable its slots and the variable itself.

        SGLD's step is read from the latter alone; in the others it tells whether the
        variable was moved.
        """
        return [[*self.optimizer.slots(v), v] for v in self._measured()]


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
    step = terms(before, after, ops.cast(z, dtype), *numbers)
    sums = [
        ops.sum(ops.square(step.gradient)),
        ops.sum(ops.square(step.noise)),
        0.0 if step.mean is None else ops.sum(ops.square(step.mean)),
        ops.sum(step.temperature) * float(noisy),
        ops.sum(ops.ones_like(after[-1])) * float(noisy),
    ]
    sums = ops.stack([ops.cast(each, "float32") for each in sums])
    return ops.where(moved, sums, 0.0)


def _has_mean(optimizer):
    one, zero = ops.ones(()), ops.zeros(())
    state = [one] * (len(optimizer.slot_names) + 1)
    numbers = optimizer.numbers(optimizer.learning_rate)
    return optimizer.terms(state, state, one, zero, *numbers).mean is not None


def _copy(tensor):
    # JAX gives the memory of the old state to the new one, PyTorch writes into it.
    return ops.copy(_detached(tensor))


def _detached(tensor):
    return ops.stop_gradient(ops.convert_to_tensor(tensor))


def _family():
    classes = (getattr(optimizers, name) for name in optimizers.__all__)
    return [cls for cls in classes if getattr(cls, "terms", None) is not None]
