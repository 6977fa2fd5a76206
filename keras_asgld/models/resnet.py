"""Residual networks for small pictures (He et al. 2016, arXiv 1512.03385)."""

import keras

from keras_asgld.models.blocks import convolution, logits, normalisation, rectify

# The ImageNet depths: blocks a stage, of 64, 128, 256 and 512 filters.
_WIDE = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def resnet(depth=34, input_shape=(32, 32, 3), classes=10):
    """Residual network of basic blocks with a 3 x 3 stem and no max-pooling.

    Depths 18 and 34 have the ImageNet networks' four stages of 64 to 512 filters;
    depths 6n + 2 (8, 14, 20, 32, 44, 56, …) are the paper's CIFAR-10 family, three
    stages of 16, 32 and 64 filters with n blocks each. Where a block changes the shape,
    its shortcut is a 1 x 1 convolution with batch normalisation.

    ResNet-34 for 10 classes has 21,282,122 weights in 110 trainable tensors and 17,024
    batch-norm statistics.

    ```python
    from keras_asgld import models

    network = models.resnet(20)
    assert network.output_shape == (None, 10)
    ```

    Args:
        depth: Number of layers with weights: 18, 34 or 6n + 2 with n ≥ 1.
        input_shape: Height, width and channels.
        classes: Positive integer, length of the output.

    Returns:
        A Keras model from pictures to logits.

    Raises:
        ValueError: On any other depth.
    """
    whole = isinstance(depth, int)
    if whole and depth in _WIDE:
        blocks, filters = _WIDE[depth], 64
    elif whole and depth >= 8 and depth % 6 == 2:
        blocks, filters = ((depth - 2) // 6,) * 3, 16
    else:
        raise ValueError(
            "`depth` must be 18, 34 or 6n + 2 with n of at least 1. "
            f"Received: depth={depth!r}"
        )
    inputs = keras.Input(input_shape)
    x = rectify(normalisation(convolution(inputs, filters, 3)))
    for stage, count in enumerate(blocks):
        for block in range(count):
            strides = 2 if stage > 0 and block == 0 else 1
            x = _basic_block(x, filters * 2**stage, strides)
    return keras.Model(inputs, logits(x, classes), name=f"resnet{depth}")


def _basic_block(x, filters, strides):
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = normalisation(convolution(x, filters, 1, strides))
    x = rectify(normalisation(convolution(x, filters, 3, strides)))
    x = normalisation(convolution(x, filters, 3))
    return rectify(keras.layers.Add()([x, shortcut]))
