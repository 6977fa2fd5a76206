"""A network around a TensorFlow Hub module; the pretrained part of any network."""

import keras
from keras import layers

from keras_asgld.models.hub_layer import HubLayer
from keras_asgld.models.saved_module import MAX_UNPACKED_BYTES

PREFIX = "hub/"


def hub_network(
    handle,
    input_shape,
    classes,
    *,
    mean=0.0,
    std=1.0,
    max_unpacked_bytes=MAX_UNPACKED_BYTES,
):
    """A TF2 Hub module of pictures with a new last layer.

    The module meets what Hub's convention for pictures says: float32 in [0, 1].

    Args:
        handle: A folder or an address, as `HubLayer` takes it.
        input_shape: Height, width and channels.
        classes: Positive integer, length of the output.
        mean, std: Numbers, or one for each channel: inputs are (pixels − mean) / std,
            with pixels in [0, 1].
        max_unpacked_bytes: As `HubLayer` takes it.

    Returns:
        A Keras model from pictures to logits, the whole module trainable.
    """
    inputs = keras.Input(input_shape)
    x = layers.Rescaling(std, mean)(inputs)
    try:
        x = HubLayer(handle, True, max_unpacked_bytes=max_unpacked_bytes, name="trunk")(
            x
        )
    except TypeError as error:  # what TensorFlow raises where no graph fits the call
        raise ValueError(
            f"The module takes no pictures of shape {tuple(input_shape)}: "
            f"{' '.join(str(error).split())[:300]} Received: handle={handle!r}"
        ) from error
    rank = len(getattr(x, "shape", ()))
    if rank not in (2, 4):
        raise ValueError(
            "`handle` must be a module that returns features [batch, n] or feature "
            f"maps [batch, height, width, n]. Received: handle={handle!r}"
        )
    if rank == 4:
        x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name="hub")


def pretrained_part(model):
    """The layer that `build` gave pretrained weights to, or None where there is none.

    It is the whole network below the new last layer: one layer, whose `trainable`
    freezes it.
    """
    kinds = (keras.Model, HubLayer)
    return next((each for each in model.layers if isinstance(each, kinds)), None)


def set_trainable(part, trainable):
    """Freezes a pretrained layer, or unfreezes everything in it but its batch norm.

    Batch norm keeps its statistics, as Keras's guide to transfer learning advises:
    those of a few batches of new pictures would spoil what the weights have learned. To
    freeze it is the only way: `training=False` in a layer's call is overridden by the
    `training=True` of the model around it.
    """
    part.trainable = trainable
    if isinstance(part, keras.Model):
        for layer in part._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
