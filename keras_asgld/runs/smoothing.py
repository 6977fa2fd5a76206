"""The cross-entropy with labels that leave a share to the other classes."""

import keras
from keras import ops


class SmoothedCrossentropy(keras.losses.Loss):
    """Of class numbers and logits; Keras's own smooths one-hot labels alone.

    Args:
        share: The share of a label, in [0, 1), that is spread over all classes.
    """

    def __init__(self, share, **kwargs):
        super().__init__(**kwargs)
        self.share = share

    def call(self, labels, logits):
        logs = ops.log_softmax(logits)
        labels = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
        right = ops.take_along_axis(logs, labels, axis=-1)[:, 0]
        return -(1 - self.share) * right - self.share * ops.mean(logs, axis=-1)
