"""Cuts tensors into parts, by loops that are alike to a compiler.

XLA on a CPU compiles loops that are alike once. Loops which read a table at places of
their own, or cut something out of it there, are alike as long as these places are no
constants of the program. So in a step that is compiled as a whole they go through a
choice that always falls on the same side.
"""

import keras
import numpy as np
from keras import ops


def slices(vectors, begins, sizes, update):
    """The same parts of several vectors, each part a tensor of its own.

    Args:
        vectors: Tensors of one length.
        begins: The places where the parts begin, in order.
        sizes: Their lengths. No two parts overlap.
        update: The update count, an int32 scalar.

    Returns:
        A list for each vector of its parts.
    """
    if keras.backend.backend() != "jax":
        # One operation, where those in a plain graph or eager step count.
        ends = [begin + size for begin, size in zip(begins, sizes, strict=True)]
        cuts = [cut for pair in zip(begins, ends, strict=True) for cut in pair]
        return [ops.split(vector, cuts)[1::2] for vector in vectors]
    begins = _unknown_to_jax(begins, update)
    return [
        [
            ops.slice(vector, [begin], [size])
            for begin, size in zip(begins, sizes, strict=True)
        ]
        for vector in vectors
    ]


def rows(table, numbers, update):
    """Rows of a table, each a tensor of its own.

    Args:
        table: A tensor of rank two.
        numbers: The numbers of the rows.
        update: The update count, an int32 scalar.
    """
    if keras.backend.backend() == "tensorflow" and _in_xla():
        import tensorflow as tf

        return [tf.gather(table, n) for n in _unknown_to_tensorflow(numbers, update)]
    if keras.backend.backend() != "jax":
        found = ops.unstack(table)
        return [found[number] for number in numbers]
    width = table.shape[1]
    begins = [width * number for number in numbers]
    sizes = [width] * len(numbers)
    [found] = slices([ops.reshape(table, (-1,))], begins, sizes, update)
    return found


def _unknown_to_jax(numbers, update):
    import jax

    # Unsigned, or JAX would ask of each whether it counts from the end.
    numbers = [np.uint32(number) for number in numbers]
    if jax.default_backend() != "cpu":
        return numbers
    return ops.cond((update | 1) != 0, lambda: numbers, lambda: numbers[::-1])


def _unknown_to_tensorflow(numbers, update):
    import tensorflow as tf

    # A choice by a boolean would be made into one without branches.
    choices = [lambda: numbers, lambda: numbers[::-1]]
    return tf.switch_case(tf.cast((update | 1) == 0, "int32"), choices)


def _in_xla():
    """Whether TensorFlow is tracing a step that XLA compiles as a whole."""
    import tensorflow as tf

    try:
        from tensorflow.python.ops import control_flow_util
    except ImportError:  # not public, and without it a step is only compiled slower
        return False
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)
