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

    Cached by (function, *static): all variables and optimizers share it.
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


def compiled_update(function, *static):
    """`compiled`, whose results are assigned to variables.

    `function(*static, values, *tensors)` maps the values of a list of variables to
    their new ones. What is returned is called with the variables: `(variables,
    *tensors)`.

    On TensorFlow the program itself assigns, so that XLA writes into the variables'
    own buffers. New ones would be as many as the model and its slots in each step,
    and fresh memory costs more than the arithmetic. There `function` is also traced
    once for all shapes of a rank: XLA compiles it for each, and to trace it for each
    would take half as long again.
    """
    if keras.backend.backend() == "tensorflow":
        return functools.partial(_update_on_tensorflow, function, static)
    program = compiled(function, *static)

    def assign_results(variables, *tensors):
        values = [ops.convert_to_tensor(variable) for variable in variables]
        for variable, value in zip(variables, program(values, *tensors), strict=True):
            variable.assign(value)

    return assign_results


def _update_on_tensorflow(function, static, variables, *tensors):
    import tensorflow as tf

    own = [v.value if isinstance(v, keras.Variable) else v for v in variables]
    # In a stateless scope there are values only, and a strategy's variable is several.
    in_place = not tf.distribute.has_strategy() and all(
        isinstance(variable, tf.Variable) for variable in own
    )
    values = variables
    if in_place:
        # Handles, since all models share the program: a function that was traced
        # with variables runs only as long as these live.
        values = [variable.handle for variable in own]
        static = function, static, tuple(_any_shape(v) for v in own)
        function = _update_in_place
    tensors = tf.nest.map_structure(tf.convert_to_tensor, (tuple(values), *tensors))
    signature = tf.nest.map_structure(_any_shape, tensors)
    new = _program(function, static, signature)(*tensors)
    if not in_place:
        for variable, value in zip(variables, new, strict=True):
            value.set_shape(variable.shape)
            variable.assign(value)


@functools.cache
def _program(function, static, signature):
    import tensorflow as tf

    # A partial, since to TensorFlow all that come from one piece of code are one
    # function, and it would warn that this is traced again and again.
    update = functools.partial(function, *static)
    return tf.function(
        update, jit_compile=True, autograph=False, input_signature=signature
    )


def _any_shape(tensor):
    """The type of tensors that differ from this one in no more than their shape.

    Those of fewer than two axes differ in less; the noise knows the shape of those
    whose elements 32 bits do not count.
    """
    import tensorflow as tf

    shape = tensor.shape
    if shape.is_fully_defined() and shape.rank > 1 and shape.num_elements() <= 2**31:
        shape = [None] * shape.rank
    return tf.TensorSpec(shape, tensor.dtype)


def _update_in_place(function, static, specs, handles, *tensors):
    import tensorflow as tf

    values = []
    for handle, spec in zip(handles, specs, strict=True):
        value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=spec.dtype)
        value.set_shape(spec.shape)
        values.append(value)
    new = function(*static, values, *tensors)
    for handle, value in zip(handles, new, strict=True):
        tf.raw_ops.AssignVariableOp(resource=handle, value=value)


def shape_of(tensor):
    """Its shape: a tuple, or in a program that is traced for any shape, a tensor."""
    if keras.backend.backend() == "tensorflow" and None in tensor.shape:
        import tensorflow as tf

        return tf.shape(tensor)
    return tuple(tensor.shape)


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
