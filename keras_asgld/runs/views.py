"""Test-time augmentation: a network is asked about several views of each picture."""

import keras
import numpy as np

from keras_asgld.runs.record_contents import VIEWS

# For each number of views the share that each, in the order of `views`, has in the mean
# of the logits; those of six are as published for airbench94 (Jordan 2024).
_SHARES = (
    (1, 0, 0, 0, 0, 0),
    (1 / 2, 1 / 2, 0, 0, 0, 0),
    (1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8),
)
SHARES = dict(zip(VIEWS, _SHARES, strict=True))


def measure(model, data):
    """The accuracy on the test pictures by the number of views; of one it is the plain.

    Args:
        model: A compiled Keras model from pictures to logits.
        data: A `Data`.

    Returns:
        A dict from the keys of `SHARES` to a float.
    """
    hits = dict.fromkeys(SHARES, 0)
    for batch in data.test():
        pictures, labels = map(keras.ops.convert_to_numpy, batch)
        logits = np.stack([model.predict_on_batch(view) for view in views(pictures)])
        for name, shares in SHARES.items():
            mean = np.tensordot(shares, logits, axes=1)
            hits[name] += int((mean.argmax(axis=-1) == labels).sum())
    return {name: count / data.test_size for name, count in hits.items()}


def views(pictures):
    """The pictures, and they moved by a pixel up and left and down and right.

    Each is followed by its mirror image. Beyond a picture's edge is its reflection.
    """
    height, width = pictures.shape[1:3]
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    for i in (1, 2, 0):
        view = padded[:, i : i + height, i : i + width]
        yield np.ascontiguousarray(view)
        yield np.ascontiguousarray(view[:, :, ::-1])
