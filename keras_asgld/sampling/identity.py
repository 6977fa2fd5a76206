"""What tells a network, a loss and data from others, in a few words of a record."""

import hashlib
import json

import keras
import numpy as np

from keras_asgld.sampling import record

# Of a configuration: modules depend on how a program was started, seeds are those of
# the chains, and the rest is of how Keras saves it.
_UNSETTLED = (
    "seed",
    "module",
    "registered_name",
    "build_config",
    "build_input_shape",
    "compile_config",
    "shared_object_id",
)
_ROWS = 4096
# What else given to `fit` changes the weights, with its default.
OF_FIT = {
    "class_weight": None,
    "initial_epoch": 0,
    "shuffle": True,
    "steps_per_epoch": None,
    "validation_split": 0.0,
}


def of_model(model):
    """A string: what the network is made of, but for names, seeds and weights."""
    config = _config(model)
    shapes = [list(weight.shape) for weight in model.weights]
    found = _digest([type(model).__name__, config, shapes])
    return f"{type(model).__name__} of {len(model.layers)} layers, {found}"


def of_loss(loss):
    """The loss as `compile` took it, its functions by their names."""
    return _settled(keras.tree.map_structure(_loss, loss), {})


def of_data(data):
    """A string for each array; of what is no array, what is known without reading it.

    Args:
        data: `x`, `y` or `sample_weight`, as `fit` takes them.
    """
    return keras.tree.map_structure(_leaf, data)


def of_training(model, arguments):
    """A dict: how the loss's parts are weighted, and the arguments named in `OF_FIT`.

    Args:
        model: A compiled model.
        arguments: What `fit` was given by name, a dict.
    """
    # The public way serializes functions beside them, which need not have a form.
    loss = getattr(model, "_compile_loss", None)
    weights = getattr(loss, "_user_loss_weights", None)
    given = {name: arguments.get(name, usual) for name, usual in OF_FIT.items()}
    return {"loss_weights": weights, **given}


def _config(model):
    layers = list(model._flatten_layers())
    # Names Keras numbers anew whenever a program makes the same again; places tell a
    # graph's edges as well.
    places = {layer.name: f"layer {place}" for place, layer in enumerate(layers)}
    try:
        return _settled(model.get_config(), places)
    except Exception:  # a layer may hold what has no configuration
        return [type(layer).__name__ for layer in layers]


def _settled(value, places):
    """A configuration that is the same wherever the same program made it."""
    if isinstance(value, dict):
        if value.get("class_name") == "__lambda__":
            return "<lambda>"  # whose code holds its line and file
        return {
            str(key): _settled(each, places)
            for key, each in value.items()
            # Nothing and absence are one: newer versions of Keras add settings.
            if key not in _UNSETTLED and each is not None
        }
    if isinstance(value, (list, tuple)):
        return [_settled(each, places) for each in value]
    return places.get(value, value) if isinstance(value, str) else value


def _loss(loss):
    if isinstance(loss, keras.losses.Loss):
        try:
            config = loss.get_config()
        except Exception:  # a class of the user's need not have one
            config = {}
        # Keras leaves some of the numbers out, as Huber's.
        config = {**config, **getattr(loss, "_fn_kwargs", {})}
        return {"class_name": type(loss).__name__, "config": config}
    return getattr(loss, "__qualname__", loss)


def _leaf(value):
    if value is None:
        return None
    if hasattr(value, "shape"):
        try:
            return _array(_as_numpy(value))
        except (TypeError, ValueError):  # of another package, and no array
            return f"{type(value).__name__} of shape {tuple(value.shape)}"
    if hasattr(value, "element_spec"):  # a data set of tf.data
        return f"{_cardinality(value)} elements of {value.element_spec!r}"
    try:
        return f"{type(value).__name__} of length {len(value)}"
    except (TypeError, NotImplementedError):
        return type(value).__name__


def _as_numpy(value):
    if keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value)
    return np.asarray(value)


def _array(array):
    found = hashlib.blake2b(digest_size=8)
    # In pieces, for what does not lie in one piece is copied.
    for first in range(0, len(array), _ROWS) if array.ndim else [None]:
        rows = array if first is None else array[first : first + _ROWS]
        if rows.dtype.hasobject:  # whose bytes are addresses
            found.update(json.dumps(rows.tolist(), default=str).encode())
        else:
            rows = np.ascontiguousarray(rows).reshape(-1)
            found.update(rows.view("uint8"))
    return f"{array.dtype} of shape {array.shape}, {found.hexdigest()}"


def _cardinality(data):
    count = int(data.cardinality())
    return count if count >= 0 else "an unknown number of"


def _digest(values):
    text = json.dumps(record.plain(values), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
