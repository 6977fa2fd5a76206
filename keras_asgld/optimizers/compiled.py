"""Compiles a pure function of tensors, whatever the step around it does."""

import functools

import keras


@functools.cache
def compiled(function, *static):
    """`function(*static, *tensors)` as one compiled computation.

    A Keras step is a plain graph on a CPU, under `tf.distribute` and in models with
    operations that XLA cannot take; there an update of thirty element-wise
    operations would make thirty passes over memory. Compiled by itself it makes one
    loop; inside a step that is compiled as a whole it is merged into that.

    Cached by (function, *static), so a function that is compiled for each shape is
    given the shape as a static argument: one program a shape, shared by all
    variables and optimizers.
    """
    function = functools.partial(function, *static)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        program = tf.function(function, jit_compile=True, autograph=False)

        def call(*arguments):
            # Variables become their values and sparse gradients dense tensors.
            return program(*tf.nest.map_structure(tf.convert_to_tensor, arguments))

        return call
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function
