"""What tells the noise of one optimizer from that of another."""

import inspect
import random

import keras


def seed_in_force(seed):
    """The seed itself or, for `None`, one that obeys `keras.utils.set_random_seed`."""
    return random.getrandbits(63) if seed is None else int(seed)


def position_in_multi_optimizer(optimizer):
    """Which member of a `keras.optimizers.MultiOptimizer` is being built, or 0.

    Members that were given one seed must not share noise, and both number their
    variables from zero. Keras does not tell them that they are members, so this
    looks for the caller.
    """
    frame = inspect.currentframe().f_back
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, getattr(keras.optimizers, "MultiOptimizer", ())):
            return owner.optimizers.index(optimizer)
        frame = frame.f_back
    return 0
