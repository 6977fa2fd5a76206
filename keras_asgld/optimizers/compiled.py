"""Compiles functions of tensors, whatever the step around them does."""

import functools

import keras
from keras import ops


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


@functools.cache
def compiled_update(function, *static):
    """`compiled`, whose results are assigned to variables.

    `function(*static, values, *tensors)` maps the values of a list of variables to
    their new ones. What is returned is called with the variables: `(variables,
    *tensors)`.

    On TensorFlow the program itself assigns, so that XLA writes into the variables'
    own buffers. New ones would be as many as the model and its slots in each step,
    and fresh memory costs more than the arithmetic.
    """
    program = compiled(function, *static)

    def assign_results(variables, *tensors):
        values = [ops.convert_to_tensor(variable) for variable in variables]
        for variable, value in zip(variables, program(values, *tensors), strict=True):
            variable.assign(value)

    if keras.backend.backend() != "tensorflow":
        return assign_results

    import tensorflow as tf

    def assign_in_place(variables, *tensors):
        own = [v.value if isinstance(v, keras.Variable) else v for v in variables]
        # In a stateless scope there are values only, and a strategy's variable
        # is several.
        if tf.distribute.has_strategy() or not all(
            isinstance(variable, tf.Variable) for variable in own
        ):
            assign_results(variables, *tensors)
        else:
            specs = tuple((v.dtype, tuple(v.shape)) for v in own)
            in_place = _in_place(function, static, specs)
            handles = [variable.handle for variable in own]
            in_place(handles, *tf.nest.map_structure(tf.convert_to_tensor, tensors))

    return assign_in_place


@functools.cache
def _in_place(function, static, specs):
    """A program of TensorFlow that updates the variables whose handles it is given.

    Handles, since all models share it: a function that was traced with variables
    runs only as long as these live.
    """
    import tensorflow as tf

    # A partial, since to TensorFlow all that come from one piece of code are one
    # function, and it would warn that this is traced again and again.
    update = functools.partial(_update_in_place, function, static, specs)
    return tf.function(update, jit_compile=True, autograph=False)


def _update_in_place(function, static, specs, handles, *tensors):
    import tensorflow as tf

    values = []
    for handle, (dtype, shape) in zip(handles, specs, strict=True):
        value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
        value.set_shape(shape)
        values.append(value)
    new = function(*static, values, *tensors)
    for handle, value in zip(handles, new, strict=True):
        tf.raw_ops.AssignVariableOp(resource=handle, value=value)


def in_one_call(function):
    """`function` as one graph on TensorFlow, where a hundred eager calls are slow.

    It may read variables and call what is `compiled`. What else it finds in Python it
    finds when it is traced, at the first call and for each new structure, dtype or
    Python number among its arguments.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False)
