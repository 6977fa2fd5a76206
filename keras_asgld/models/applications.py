"""Any network of `keras.applications`, fed by this package's pipelines."""

import inspect
import math

import keras
from keras import layers

from keras_asgld.checks import require
from keras_asgld.models.pretrained import set_trainable

PREFIX = "applications/"
LARGEST_ARGUMENT = 100  # a network a hundred times as wide fits no memory


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


def check_arguments(argument, text):
    """Raises a ValueError that names `argument` unless `text` sets what can be set.

    Args:
        argument: What the user calls the argument that `text` was given for.
        text: `PREFIX` and a name of `application_names`, perhaps with `":alpha=0.35"`.
    """
    name, colon, setting = text.removeprefix(PREFIX).partition(":")
    if not colon:
        return
    known = _numbers(name)
    key, _, value = setting.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    good = key in known and 0 < number <= LARGEST_ARGUMENT
    if good and isinstance(known[key], int):
        good = number.is_integer()
    example = "applications/MobileNetV2:alpha=0.35"
    require(
        good,
        argument,
        text,
        f"a network alone, or set one of its numbers ({', '.join(known) or 'none'} of "
        f"{name}) to a positive one of at most {LARGEST_ARGUMENT}, as in {example}",
    )


def _arguments(text):
    """`NAME:alpha=0.35` as the name and a dictionary."""
    check_arguments("name", text)
    name, colon, setting = text.partition(":")
    if not colon:
        return name, {}
    key, _, value = setting.partition("=")
    return name, {key: type(_numbers(name)[key])(float(value))}


def _numbers(name):
    """The numbers that a network can be told, with their defaults."""
    parameters = inspect.signature(getattr(keras.applications, name)).parameters
    return {
        key: parameter.default
        for key, parameter in parameters.items()
        if type(parameter.default) in (int, float) and key != "classes"
    }


def _per_channel(value, input_shape):
    try:
        return [float(v) for v in value]
    except TypeError:
        return [float(value)] * input_shape[-1]


def _module(name):
    modules = vars(keras.applications).values()
    return next(m for m in modules if inspect.ismodule(m) and hasattr(m, name))
