"""A network that learns CIFAR-10 in ten epochs, after K. Jordan's airbench94."""

import math

import keras
import numpy as np
from keras import layers, ops

from keras_asgld.models.whitening import Whitening

# So many times as fast as weights shifts are learnt, as published.
_SHIFT_RATE = 64
_LOGITS_FACTOR = 1 / 9


def airbench(input_shape=(32, 32, 3), classes=10, widths=(64, 256, 256)):
    """Whitened patches, six 3 x 3 convolutions, a linear layer; 1.97 million weights.

    Made to learn in few steps: convolutions pass on what they are given before they
    learn more, the shifts of the normalisations learn fast, and logits begin small.
    Its layer `Whitening` is to be adapted to pictures before training, as the command
    does.

    ```python
    from keras_asgld import models

    network = models.build("airbench-narrow", (32, 32, 3), 10)
    assert network.output_shape == (None, 10)
    ```

    Args:
        input_shape: Height, width and channels; at least 2 x 2.
        classes: Positive integer, length of the output.
        widths: Three positive integers, the filters of each pair of convolutions.

    Returns:
        A Keras model from pictures to logits.

    Reference:
        - [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """
    inputs = keras.Input(input_shape)
    # Half precision would lose the small differences that it enlarges.
    x = layers.Activation("gelu")(Whitening(dtype="float32")(inputs))
    for width in widths:
        x = _convolution(x, width)
        if min(x.shape[1:3]) > 1:
            x = layers.MaxPooling2D()(x)
        x = _normalised(x)
        x = _normalised(_convolution(x, width))
    x = layers.GlobalMaxPooling2D()(x)
    x = layers.Dense(classes, use_bias=False, dtype="float32", name="linear")(x)
    x = layers.Rescaling(_LOGITS_FACTOR, dtype="float32", name="logits")(x)
    return keras.Model(inputs, x, name="airbench")


@keras.saving.register_keras_serializable(package="keras_asgld")
class PartlyIdentity(keras.initializers.VarianceScaling):
    """A convolution's kernel whose first filters pass on one input each.

    The others, where there are more filters than inputs, are uniform in
    `[-1 / sqrt(fan_in), 1 / sqrt(fan_in)]`.
    """

    def __init__(self, seed=None):
        super().__init__(1 / 3, "fan_in", "uniform", seed)

    def __call__(self, shape, dtype=None):
        kernel = super().__call__(shape, dtype)
        height, width, inputs, filters = shape
        identity = np.zeros((height, width, inputs, min(inputs, filters)))
        identity[height // 2, width // 2] = np.eye(*identity.shape[2:])
        identity = ops.cast(identity, kernel.dtype)
        return ops.concatenate([identity, kernel[..., inputs:]], axis=-1)

    def get_config(self):
        return {"seed": super().get_config()["seed"]}


@keras.saving.register_keras_serializable(package="keras_asgld")
class Shift(keras.layers.Layer):
    """Adds a number to each channel, which gradient steps learn `rate` times as fast.

    The factor √rate before the weight enters its gradient and its effect; with steps
    whose length does not depend on the gradient's, as Adam's, √rate is left of it.
    """

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def build(self, input_shape):
        self.bias = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", name="bias"
        )

    def call(self, x):
        return x + math.sqrt(self.rate) * self.bias

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


def _convolution(x, filters):
    kernel = PartlyIdentity()
    return layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer=kernel
    )(x)


def _normalised(x):
    x = layers.BatchNormalization(
        momentum=0.6, epsilon=1e-5, center=False, scale=False
    )(x)
    return layers.Activation("gelu")(Shift(_SHIFT_RATE)(x))
