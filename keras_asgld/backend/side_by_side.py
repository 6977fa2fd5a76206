"""JAX alone: the states of several models of one kind, moved by one program."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def places(count):
    """Where arrays of `count` states lie, and where all devices have the whole.

    So many devices are used as share the states evenly.
    """
    devices = jax.devices()
    used = max(n for n in range(1, len(devices) + 1) if count % n == 0)
    mesh = Mesh(np.array(devices[:used]), ("state",))
    return (
        NamedSharding(mesh, PartitionSpec("state")),
        NamedSharding(mesh, PartitionSpec()),
    )


def placed(arrays, place):
    return jax.device_put(arrays, place)


def stacked(states, place):
    """One state, whose arrays have a first axis of the states."""
    together = jax.tree.map(lambda *arrays: jax.numpy.stack(arrays), *states)
    return jax.device_put(together, place)


def program(step):
    """`step(state, batch)` for stacked states, with examples of their own.

    Returns:
        A function of the stacked state, which it consumes, of all examples, and of the
        indices of each state's batch, an array of (states, examples).
    """

    def of_one(state, data, indices):
        return step(state, jax.tree.map(lambda array: array[indices], data))

    return jax.jit(jax.vmap(of_one, in_axes=(0, None, 0)), donate_argnums=0)
