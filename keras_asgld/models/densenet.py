"""Densely connected networks for small pictures (Huang et al. 2017).

The paper is arXiv 1608.06993.
"""

import keras
from keras import layers

from keras_asgld.models.blocks import convolution, logits, normalisation, rectify

_BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
_GROWTH = 32


def densenet(depth=121, input_shape=(32, 32, 3), classes=10):
    """DenseNet-BC, growth 32, with a bare 3 x 3 stem of 64 channels.

    Each layer adds 32 channels computed from all before it through a bottleneck of 128;
    between blocks a 1 x 1 convolution halves the channels and pooling the sides.

    DenseNet-121 for 10 classes has 6,956,298 weights in 362 trainable tensors and
    83,520 batch-norm statistics.

    ```python
    from keras_asgld import models

    network = models.densenet(121, input_shape=(16, 16, 3))
    assert network.output_shape == (None, 10)
    ```

    Args:
        depth: 121, 169 or 201.
        input_shape: Height, width and channels; at least 8 x 8.
        classes: Positive integer, length of the output.

    Returns:
        A Keras model from pictures to logits.

    Raises:
        ValueError: On any other depth.
    """
    if depth not in _BLOCKS:
        raise ValueError(f"`depth` must be 121, 169 or 201. Received: depth={depth!r}")
    inputs = keras.Input(input_shape)
    x = convolution(inputs, 2 * _GROWTH, 3)
    for stage, count in enumerate(_BLOCKS[depth]):
        if stage > 0:
            x = convolution(rectify(normalisation(x)), x.shape[-1] // 2, 1)
            x = layers.AveragePooling2D(2)(x)
        for _ in range(count):
            new = convolution(rectify(normalisation(x)), 4 * _GROWTH, 1)
            new = convolution(rectify(normalisation(new)), _GROWTH, 3)
            x = layers.Concatenate()([x, new])
    x = rectify(normalisation(x))
    return keras.Model(inputs, logits(x, classes), name=f"densenet{depth}")
