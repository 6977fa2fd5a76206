"""Numbers of an update rule that may be fixed, scheduled or computed."""

import math
import numbers

import keras

from keras_asgld.checks import check_float32, check_number, require


def check(name, value, schedules=False, below=math.inf):
    """Raises unless `value` is a number that a step can have, or, as asked, a schedule.

    Steps are made in float32, so it must hold the number, and as one below `below`.

    Args:
        name, value, schedules, below: As `check_number` takes them.
    """
    check_number(name, value, schedules=schedules, below=below)
    if not callable(value):
        number = float(value)
        check_float32(name, number)
        good = below == math.inf or number <= below * (1 - 2.0**-24)
        constraint = f"in the range [0, {below}), in float32 too"
        require(good, name, value, constraint, show=str)


class Hyperparameter:
    """A class attribute of an optimizer that behaves as `learning_rate` does.

    It is set to a float, a `keras.optimizers.schedules.LearningRateSchedule` or a
    callable of no arguments; reading it gives the value in force. A float lives in
    an optimizer variable, so that it is saved, and assigning another one takes
    effect in a step that is already compiled.

    Floats are finite and not negative; anything else raises `ValueError`. So does a
    callable that returns any other number, when the step is run or traced. Tensors,
    which schedules return too, are not checked: that would make the step wait for the
    device.
    """

    def __set_name__(self, owner, name):
        self.name = name
        self.attribute = f"_{name}"

    def __get__(self, optimizer, owner=None):
        if optimizer is None:
            return self
        value = getattr(optimizer, self.attribute)
        if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
            return value(optimizer._iterations)
        if isinstance(value, keras.Variable):
            return value
        value = value()
        if isinstance(value, numbers.Real):
            check(self.name, value)
        return value

    def __set__(self, optimizer, value):
        check(self.name, value, schedules=True)
        current = getattr(optimizer, self.attribute, None)
        if callable(value):
            if isinstance(current, keras.Variable):
                optimizer._untrack_variable(current)
            setattr(optimizer, self.attribute, value)
        elif isinstance(current, keras.Variable):
            current.assign(value)
        elif current is None:
            variable = optimizer.add_variable(
                shape=(),
                initializer=keras.initializers.Constant(float(value)),
                dtype=keras.config.floatx(),
                aggregation="only_first_replica",
                name=self.name,
            )
            setattr(optimizer, self.attribute, variable)
        else:
            raise TypeError(
                f"`{self.name}` was created as a schedule or a callable and cannot "
                f"become a float. Received: {self.name}={value}"
            )

    def config(self, optimizer):
        """The value in the form that `get_config` stores."""
        value = getattr(optimizer, self.attribute)
        if isinstance(value, keras.Variable):
            return float(keras.ops.convert_to_numpy(value))
        return keras.saving.serialize_keras_object(value)


class Constant:
    """A class attribute of an optimizer that is a float; every assignment is checked.

    Like those of Keras's own optimizers it is read when a step is traced: a compiled
    step keeps the number that it was compiled with.

    Args:
        below: The end of its range [0, below).
    """

    def __init__(self, below=math.inf):
        self.below = below

    def __set_name__(self, owner, name):
        self.name = name
        self.attribute = f"_{name}"

    def __get__(self, optimizer, owner=None):
        return self if optimizer is None else getattr(optimizer, self.attribute)

    def __set__(self, optimizer, value):
        check(self.name, value, below=self.below)
        setattr(optimizer, self.attribute, float(value))

    def config(self, optimizer):
        """The value in the form that `get_config` stores."""
        return getattr(optimizer, self.attribute)
