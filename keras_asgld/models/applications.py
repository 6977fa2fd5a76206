"""Any network of `keras.applications`, fed by this package's pipelines."""

import inspect

import keras
from keras import layers

from keras_asgld.models.pretrained import set_trainable

PREFIX = "applications/"


def application_names():
    """Returns the names of the networks that Keras offers, sorted."""
    offered = vars(keras.applications).items()
    return sorted(name for name, value in offered if inspect.isfunction(value))


def application(name, input_shape, classes, *, weights=None, mean=0.0, std=1.0):
    """Builds a network of `keras.applications` with a new last layer.

    The networks expect pixels in one of several forms. The model undoes the pipeline's
    normalisation and applies the network's own, so that pretrained weights meet what
    they were trained on.

    Args:
        name: A name of `application_names`; `":alpha=0.35"` behind it sets that
            argument of the network to that number.
        input_shape: Height, width and channels; the networks set a least size.
        classes: Positive integer, length of the output.
        weights: `None` (random), `"imagenet"` or the path of a weights file without the
            last layer. The batch norm of a pretrained network is frozen.
        mean, std: Numbers, or one for each channel: inputs are (pixels − mean) / std,
            with pixels in [0, 1].

    Returns:
        A Keras model from pictures to logits.
    """
    name, arguments = _arguments(name)
    trunk = getattr(keras.applications, name)(
        include_top=False,
        weights=weights,
        input_shape=input_shape,
        pooling="avg",
        **arguments,
    )
    if weights is not None:
        set_trainable(trunk, True)
    inputs = keras.Input(input_shape)
    bytes_scale = [255.0 * s for s in _per_channel(std, input_shape)]
    bytes_offset = [255.0 * m for m in _per_channel(mean, input_shape)]
    x = layers.Rescaling(bytes_scale, bytes_offset)(inputs)
    x = _module(name).preprocess_input(x)
    x = layers.Dense(classes, dtype="float32", name="logits")(trunk(x))
    return keras.Model(inputs, x, name=name.lower())


def _arguments(text):
    """`NAME:alpha=0.35` as the name and a dictionary."""
    name, colon, setting = text.partition(":")
    if not colon:
        return name, {}
    key, _, value = setting.partition("=")
    known = inspect.signature(getattr(keras.applications, name)).parameters
    try:
        number = float(value)
    except ValueError:
        number = None
    if key not in known or number is None:
        raise ValueError(
            f"`name` must set an argument of {name} to a number, as in "
            f"applications/MobileNetV2:alpha=0.35. Received: name={text!r}"
        )
    return name, {key: number}


def _per_channel(value, input_shape):
    try:
        return [float(v) for v in value]
    except TypeError:
        return [float(value)] * input_shape[-1]


def _module(name):
    modules = vars(keras.applications).values()
    return next(m for m in modules if inspect.ismodule(m) and hasattr(m, name))
