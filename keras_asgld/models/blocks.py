"""The layers that the networks share, with the constants of the paper's protocol."""

from keras import layers


def convolution(x, filters, size, strides=1):
    """Bias-free convolution, padded by `size // 2` pixels on every side."""
    if strides > 1 and size > 1:
        # Keras's "same" pads a strided convolution on the right and below only.
        x = layers.ZeroPadding2D(size // 2)(x)
    return layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="valid" if strides > 1 else "same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)


def normalisation(x):
    """Batch normalisation; Keras's own .99 and 1e-3 are not the protocol's."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def rectify(x):
    return layers.Activation("relu")(x)


def logits(x, classes):
    """Mean over the picture, then a logit for each class, float32 in any policy."""
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(classes, dtype="float32", name="logits")(x)
