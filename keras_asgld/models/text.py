"""Small networks for texts, which are rows of token numbers; 0 fills a row up."""

import keras

VOCABULARY = 2048


def bag(input_shape=(40,), classes=5, width=32, vocabulary=VOCABULARY):
    """The mean of the tokens' embeddings and a hidden layer; order does not matter.

    Args:
        input_shape: The number of tokens in a row.
        classes: Positive integer, length of the output.
        width: Positive integer, length of an embedding and of the hidden layer.
        vocabulary: Positive integer, above every token's number.

    Returns:
        A Keras model from token numbers to logits.
    """
    inputs, x = _embedded(input_shape, width, vocabulary)
    x = keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dense(width, activation="relu")(x)
    return keras.Model(inputs, _logits(x, classes), name="bag")


def lstm(input_shape=(12,), classes=10, width=32, vocabulary=VOCABULARY):
    """A recurrent network that reads the tokens one by one.

    Args:
        input_shape, classes, vocabulary: As for `bag`.
        width: Positive integer, length of an embedding and of the state.

    Returns:
        A Keras model from token numbers to logits.
    """
    inputs, x = _embedded(input_shape, width, vocabulary)
    x = keras.layers.LSTM(width, unroll=True)(x)
    return keras.Model(inputs, _logits(x, classes), name="lstm")


def transformer(
    input_shape=(12,), classes=10, width=32, blocks=1, vocabulary=VOCABULARY
):
    """A small transformer: layer normalisation, then attention or two dense layers.

    Args:
        input_shape, classes, vocabulary: As for `bag`.
        width: Positive integer, a multiple of 4: length of an embedding.
        blocks: Positive integer, how often attention is followed by dense layers.

    Returns:
        A Keras model from token numbers to logits.
    """
    inputs, x = _embedded(input_shape, width, vocabulary)
    x = Positions()(x)
    for _ in range(blocks):
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.MultiHeadAttention(4, width // 4)(y, y)
        x = keras.layers.Add()([x, y])  # `+` would lose the mask of the padding
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.Dense(2 * width, activation="gelu")(y)
        x = keras.layers.Add()([x, keras.layers.Dense(width)(y)])
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, _logits(x, classes), name="transformer")


@keras.saving.register_keras_serializable(package="keras_asgld")
class Positions(keras.layers.Layer):
    """Adds to each place in a row a vector of its own, which is learned."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        self.vectors = self.add_weight(
            shape=input_shape[1:], initializer="random_normal", name="vectors"
        )

    def call(self, inputs):
        return inputs + self.vectors


def _embedded(input_shape, width, vocabulary):
    inputs = keras.Input(input_shape, dtype="int32")
    return inputs, keras.layers.Embedding(vocabulary, width, mask_zero=True)(inputs)


def _logits(x, classes):
    return keras.layers.Dense(classes, dtype="float32", name="logits")(x)
