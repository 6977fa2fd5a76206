"""The optimizer that makes the steps of a model, and how many it has made."""

import keras


def inner_optimizer(optimizer):
    """The optimizer that a loss scale of float16 may be wrapped around."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def steps_made(model):
    """How many, an integer; of steps that accumulate gradients each counts.

    On JAX a callback asks with `self.model`, which brings the state up to date.
    """
    return int(keras.ops.convert_to_numpy(inner_optimizer(model.optimizer)._iterations))
