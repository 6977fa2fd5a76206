"""Any network of `keras.applications`, fed by this package's pipelines."""

import inspect

import keras
from keras import layers

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
        name: A name of `application_names`.
        input_shape: Height, width and channels; the networks set a least size.
        classes: Positive integer, length of the output.
        weights: `None` (random), `"imagenet"` or the path of a weights file without the
            last layer.
        mean, std: Numbers, one or one a channel: inputs are (pixels − mean) / std with
            pixels in [0, 1].

    Returns:
        A Keras model from pictures to logits.
    """
    trunk = getattr(keras.applications, name)(
        include_top=False, weights=weights, input_shape=input_shape, pooling="avg"
    )
    inputs = keras.Input(input_shape)
    bytes_scale = [255.0 * s for s in _per_channel(std, input_shape)]
    bytes_offset = [255.0 * m for m in _per_channel(mean, input_shape)]
    x = layers.Rescaling(bytes_scale, bytes_offset)(inputs)
    x = _module(name).preprocess_input(x)
    x = layers.Dense(classes, dtype="float32", name="logits")(trunk(x))
    return keras.Model(inputs, x, name=name.lower())


def _per_channel(value, input_shape):
    try:
        return [float(v) for v in value]
    except TypeError:
        return [float(value)] * input_shape[-1]


def _module(name):
    modules = vars(keras.applications).values()
    return next(m for m in modules if inspect.ismodule(m) and hasattr(m, name))
