"""Steps taken by the thousand."""

import keras


def one_graph(step):
    """The step as one graph on TensorFlow, where each operation of its own is slow."""
    if keras.backend.backend() != "tensorflow":
        return step
    import tensorflow as tf

    return tf.function(step)
