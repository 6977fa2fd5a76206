"""The one place that asks which backend Keras runs on.

`tensorflow.py`, `jax.py` and `torch.py` offer the same functions, of which one set is
chosen here, once:

- `compiled(function, *static)`: `function(*static, *tensors)` as one compiled
  computation of tensors, whatever the step around it does.
- `compiled_update(function, *static)`: the same for `function(*static, values,
  *tensors)`, called with a list of variables in the place of their values, to which the
  results are assigned.
- `in_one_call(function)`: `function` as one call to the backend; it may read variables.
- `elementwise(function, *static)`: `function(*static, state, others, spare, numbers)`,
  whose results, the new state, are made element by element; the others have the state's
  shape or broadcast to it. On PyTorch the results are written over the state, and
  anything over the spare tensors.
- `without_gradients(function)`: `function`, of which no gradient can be taken.
- `computed_once(update, make, state)`: `make()`, which no compiler computes again for
  each use of its results; `state` has their structure.
- `rows(table, numbers, update)`: rows of a table, each a tensor of its own.
- `taken(table, numbers)`: for each array of numbers what the table, a vector, holds.
- `dense(gradient)`: as a tensor that is not sparse.
- `cut(tensor, size)`: matrices of one row and at most so many elements, on PyTorch
  views of it.
- `assign(variables, values)`: assigns to each variable its value.
- `joined(tensors, shapes, width, column)`: one matrix in which each tensor begins a new
  row. Another one of the same `column` may be made in its memory.
- `slices(matrices, shapes, width, update)`: for each matrix the tensors that it holds.
- `bitcast(x, dtype)`: the same 32 bits as numbers of another dtype.
- `counted(starts, width, step)`: `step` times the numbers that follow each start, int32
  of (rows, width), for starts of (rows, 1).
- `polynomial(x, coefficients)`: a new tensor of its values at `x`; the coefficients
  are from the constant one up.
- `not_folded(index, key)`: `index`, such that no compiler stores what is made of it.
- `shape_of(tensor)`: a tuple, or a tensor where a program is traced for any shape.
- `colocated(optimizer, variable)`: a scope that makes new variables beside it.
- `is_partitioned()`: whether a tensor may lie on several devices.
- `is_replicated()`: whether Keras must update each variable on each of its replicas.
- `may_pack()`: whether several variables may be copied into one matrix; `PACKS_ALL`:
  whether all of them, or only the smallest.
- `budget(in_cache)`: how many elements to put into one matrix, where `in_cache` of them
  fit into a processor's cache.
- `may_cut(variable)`: whether it may be updated in parts.
- `layout(variables)`: a hashable, equal while the answers to the last three are.

`update` is the update count everywhere, an int32 scalar. `side_by_side.py` is
JAX's alone, for chains that run together.
"""

import importlib

import keras

NAME = keras.backend.backend()
try:
    chosen = importlib.import_module(f"keras_asgld.backend.{NAME}")
except ModuleNotFoundError as error:
    raise ImportError(
        "`keras_asgld` runs on Keras's backends tensorflow, jax and torch. "
        f"Received: backend={NAME!r}, or a part of it is missing: {error}"
    ) from error

PACKS_ALL = chosen.PACKS_ALL
assign = chosen.assign
bitcast = chosen.bitcast
budget = chosen.budget
colocated = chosen.colocated
compiled = chosen.compiled
compiled_update = chosen.compiled_update
computed_once = chosen.computed_once
counted = chosen.counted
cut = chosen.cut
dense = chosen.dense
elementwise = chosen.elementwise
in_one_call = chosen.in_one_call
is_partitioned = chosen.is_partitioned
is_replicated = chosen.is_replicated
joined = chosen.joined
layout = chosen.layout
may_cut = chosen.may_cut
may_pack = chosen.may_pack
not_folded = chosen.not_folded
polynomial = chosen.polynomial
rows = chosen.rows
shape_of = chosen.shape_of
slices = chosen.slices
taken = chosen.taken
without_gradients = chosen.without_gradients
