"""Steps taken by the thousand."""

import keras


def one_graph(step, variables):
    """The step as one program where each operation of its own is slow.

    Args:
        step: A function of tensors that moves the variables and returns nothing.
        variables: All that it moves: weights, and the optimizer's variables.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(step)
    if keras.backend.backend() == "jax":
        return _jitted(step, list(variables))
    return step


def _jitted(step, variables):
    import jax

    @jax.jit
    def moved(values, *inputs):
        mapping = zip(variables, values, strict=True)
        with keras.StatelessScope(state_mapping=mapping) as scope:
            step(*inputs)
        return [scope.get_current_value(variable) for variable in variables]

    def move(*inputs):
        values = moved([variable.value for variable in variables], *inputs)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    return move
