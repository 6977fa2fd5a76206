"""TensorFlow: programs of XLA, which assign their results themselves.

A Keras step is a plain graph on a CPU, under `tf.distribute` and in models with
operations that XLA cannot take. There an update of thirty element-wise operations would
make thirty passes over memory; compiled by itself it makes one loop. Inside a step
that XLA compiles as a whole it is merged into that.
"""

import functools
import platform
import weakref

import keras
import tensorflow as tf
from keras import ops
from tensorflow.python.eager import context

from keras_asgld import config
from keras_asgld.backend import fused, matrix
from keras_asgld.backend.fused import (  # noqa: F401
    assign,
    counted,
    cut,
    dense,
    elementwise,
    joined,
    polynomial,
    taken,
)

PACKS_ALL = False

# TensorFlow's context → the programs that were made in it and end with it.
_programs = weakref.WeakKeyDictionary()


def compiled(function, *static):
    def call(*tensors):
        # Variables become their values and sparse gradients dense tensors.
        return _program(function, static)(*_as_tensors(tensors))

    return call


def compiled_update(function, *static):
    return functools.partial(_update, function, static)


def _update(function, static, variables, *tensors):
    """Runs a program in which XLA writes into the variables' own buffers.

    With results assigned outside, a step would make new tensors as large as the model
    and its slots, and fresh memory costs more than the arithmetic. `function` is also
    traced once for all shapes of a rank: XLA compiles it for each, and to trace it
    for each would take half as long again.
    """
    own = [v.value if isinstance(v, keras.Variable) else v for v in variables]
    # In a stateless scope there are values only, and a strategy's variable is several.
    in_place = not is_replicated() and all(isinstance(v, tf.Variable) for v in own)
    values = variables
    if in_place:
        # Handles, since all models share the program: a function that was traced
        # with variables runs only as long as these live.
        values = [variable.handle for variable in own]
        static = function, static, tuple(_any_shape(variable) for variable in own)
        function = _update_in_place
    tensors = _as_tensors((tuple(values), *tensors))
    signature = tf.nest.map_structure(_any_shape, tensors)
    new = _program(function, static, signature)(*tensors)
    if not in_place:
        for variable, value in zip(variables, new, strict=True):
            value.set_shape(variable.shape)
            variable.assign(value)


def _update_in_place(function, static, specs, handles, *tensors):
    values = []
    for handle, spec in zip(handles, specs, strict=True):
        value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=spec.dtype)
        value.set_shape(spec.shape)
        values.append(value)
    new = function(*static, values, *tensors)
    for handle, value in zip(handles, new, strict=True):
        tf.raw_ops.AssignVariableOp(resource=handle, value=value)


def _program(function, static, signature=None):
    """One for all variables and optimizers that have these arguments in common."""
    programs = _programs.setdefault(context.context(), {})
    key = function, static, signature, _compiles()
    if key not in programs:
        # A partial, because TensorFlow takes functions made by one piece of code for
        # one function, and would warn that it is traced again and again.
        programs[key] = tf.function(
            functools.partial(function, *static),
            jit_compile=_compiles(),
            autograph=False,
            input_signature=signature,
        )
    return programs[key]


def _compiles():
    if not config.is_compilation_enabled() or _on_apples_gpu():
        return False
    # `enable_check_numerics` and other debuggers look at each operation, in a way that
    # XLA cannot compile.
    return not context.context().op_callbacks


@functools.cache
def _on_apples_gpu():
    # Where Keras turns XLA off too.
    on_arm = platform.system() == "Darwin" and "arm" in platform.processor().lower()
    return on_arm and bool(tf.config.list_physical_devices("GPU"))


def _as_tensors(structure):
    return tf.nest.map_structure(tf.convert_to_tensor, structure)


def _any_shape(tensor):
    """The type of this tensor with its shape left open, where that is worth it.

    A vector keeps its length: most are packed, and the few that are not would gain
    nothing. So does a tensor of more than 2**31 elements, whose axes the noise has to
    know.
    """
    shape = tensor.shape
    if shape.is_fully_defined() and shape.rank > 1 and shape.num_elements() <= 2**31:
        shape = [None] * shape.rank
    return tf.TensorSpec(shape, tensor.dtype)


def in_one_call(function):
    """As one graph, since a hundred eager calls are slow.

    Whatever `function` looks up in Python is looked up when it is traced: at the first
    call and for each new structure, dtype or Python number among its arguments.
    """
    return tf.function(function, autograph=False)


def without_gradients(function):
    return function


def computed_once(update, make, state):
    # XLA would compute noise and rule again for every variable that is unpacked. The
    # condition is always true, but XLA cannot know.
    return ops.cond(ops.bitwise_or(update, 1) != 0, make, lambda: state)


def slices(matrices, shapes, width, update):
    # A split is one operation where a slice for each part would be many.
    _, begins, sizes = matrix.spans(shapes, width)
    ends = [begin + size for begin, size in zip(begins, sizes, strict=True)]
    cuts = [place for pair in zip(begins, ends, strict=True) for place in pair]
    vectors = [ops.reshape(matrix, (-1,)) for matrix in matrices]
    return [
        list(map(fused.reshaped, ops.split(vector, cuts)[1::2], shapes))
        for vector in vectors
    ]


def rows(table, numbers, update):
    if not _in_xla():
        found = ops.unstack(table)
        return [found[number] for number in numbers]
    # XLA on a CPU compiles loops that are alike once. Loops that read a table at places
    # of their own are alike as long as these places are no constants, so they go
    # through a choice that always falls on the same side. (A choice by a boolean would
    # be made into one without branches.)
    choices = [lambda: numbers, lambda: numbers[::-1]]
    places = tf.switch_case(tf.cast((update | 1) == 0, "int32"), choices)
    return [tf.gather(table, place) for place in places]


def _in_xla():
    """Whether TensorFlow is tracing a step that XLA compiles as a whole."""
    try:
        from tensorflow.python.ops import control_flow_util
    except ImportError:  # not public, and without it a step is only compiled slower
        return False
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)


def bitcast(x, dtype):
    # `ops.view` would compute the size of every axis, in forty operations a variable.
    return tf.bitcast(x, dtype)


def not_folded(index, key):
    # While it compiles, TensorFlow computes whatever depends on no argument. It would
    # store an index for every weight, which takes longer to read than to compute.
    return index + ops.cast((key[0] | 1) == 0, "int32")


def shape_of(tensor):
    return tf.shape(tensor) if None in tensor.shape else tuple(tensor.shape)


def colocated(optimizer, variable):
    value = variable.value if isinstance(variable, keras.Variable) else variable
    return optimizer._distribution_strategy.extended.colocate_vars_with(value)


def is_partitioned():
    return False


def is_replicated():
    return tf.distribute.has_strategy()


def may_pack():
    return not is_replicated()


def budget(in_cache):
    return in_cache


def may_cut(variable):
    return False


def layout(variables):
    return may_pack()
