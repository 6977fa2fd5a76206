"""Networks that are small enough to be trained on a laptop."""

import math

import keras

from keras_asgld.models.blocks import convolution, logits, normalisation, rectify


def digits_network(input_shape=(8, 8, 1), classes=10):
    """Three 3 x 3 convolutions with batch normalisation, 24,058 weights.

    Made for the 8 x 8 digits, which it learns in seconds.

    ```python
    from keras_asgld import models

    assert models.digits_network().output_shape == (None, 10)
    ```

    Args:
        input_shape: Height, width and channels.
        classes: Positive integer, length of the output.

    Returns:
        A Keras model from pictures to logits.
    """
    inputs = keras.Input(input_shape)
    x = inputs
    for filters, strides in ((16, 1), (32, 2), (64, 1)):
        x = rectify(normalisation(convolution(x, filters, 3, strides)))
    return keras.Model(inputs, logits(x, classes), name="digits")


def small_cnn(input_shape=(32, 32, 3), classes=10, width=32):
    """Six 3 x 3 convolutions with batch normalisation, 0.29 million weights.

    Made for CIFAR-10 where there is no accelerator, or a small one.

    ```python
    from keras_asgld import models

    assert models.small_cnn(input_shape=(16, 16, 3)).output_shape == (None, 10)
    ```

    Args:
        input_shape: Height, width and channels; at least 4 x 4.
        classes: Positive integer, length of the output.
        width: Positive integer, filters of the first two layers.

    Returns:
        A Keras model from pictures to logits.
    """
    inputs = keras.Input(input_shape)
    x = inputs
    for stage, filters in enumerate((width, 2 * width, 4 * width)):
        if stage > 0:
            x = keras.layers.MaxPooling2D()(x)
        for _ in range(2):
            x = rectify(normalisation(convolution(x, filters, 3)))
    return keras.Model(inputs, logits(x, classes), name="cnn")


def plain_cnn(input_shape=(16, 16, 3), classes=10):
    """Three 3 x 3 convolutions and a dense layer, without any normalisation.

    Args:
        input_shape: Height, width and channels; at least 8 x 8.
        classes: Positive integer, length of the output.

    Returns:
        A Keras model from pictures to logits.
    """
    inputs = x = keras.Input(input_shape)
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(classes)(x), name="cnn-plain")


def gru(input_shape=(8, 8, 1), classes=10, width=32):
    """A recurrent network that reads a picture row by row, as a sequence.

    Args:
        input_shape: Height, width and channels.
        classes: Positive integer, length of the output.
        width: Positive integer, units of the recurrent layer.

    Returns:
        A Keras model from pictures to logits.
    """
    height, *row = input_shape
    inputs = keras.Input(input_shape)
    x = keras.layers.Reshape((height, math.prod(row)))(inputs)
    x = keras.layers.GRU(width, unroll=True)(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x), name="gru")


def mlp(input_shape=(10,), classes=1, width=32):
    """Two hidden layers of rectified units, for tables and flattened pictures.

    Args:
        input_shape: The shape of one input.
        classes: Positive integer, length of the output.
        width: Positive integer, units of the hidden layers.

    Returns:
        A Keras model; its outputs are numbers, or logits.
    """
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    for _ in range(2):
        x = keras.layers.Dense(width, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x), name="mlp")


def autoencoder(input_shape=(64,), classes=64, width=32, code=8):
    """Rows of a table through a narrow layer to numbers, of which a row may be one.

    Args:
        input_shape: The shape of one input.
        classes: Positive integer, length of the output.
        width: Positive integer, units of the layers before and after the narrow one.
        code: Positive integer, units of the narrow layer, which is linear.

    Returns:
        A Keras model; its outputs are numbers.
    """
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(width, activation="relu")(inputs)
    x = keras.layers.Dense(code, name="code")(x)
    x = keras.layers.Dense(width, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x), name="autoencoder")
