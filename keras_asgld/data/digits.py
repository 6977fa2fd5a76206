"""Handwritten digits, 1,797 pictures of 8 x 8, which scikit-learn carries along."""

import numpy as np

from keras_asgld.data.source import DataError, Examples, Source
from keras_asgld.data.splits import stratified_order

TEST_SIZE = 360
WHITE = 16.0


def read(data_dir=None):
    """Returns the 1,437 training and the 360 test examples; `data_dir` is not used."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            "The digits come with scikit-learn, which is not installed: run "
            "`pip install scikit-learn`."
        ) from error
    digits = load_digits()
    pictures = digits.images[..., None].astype(np.uint8)
    examples = Examples(pictures, digits.target.astype(np.int32))
    order = stratified_order(examples.labels)
    return examples.take(order[TEST_SIZE:]), examples.take(order[:TEST_SIZE])


def read_for_autoencoders(data_dir=None):
    """The same examples as rows of 64 numbers in [0, 1], each its own label."""
    return tuple(
        Examples(*[part.inputs.reshape(-1, 64).astype(np.float32) / WHITE] * 2)
        for part in read(data_dir)
    )


# A mirrored or cut digit is another digit or none, so there is no augmentation.
SOURCE = Source(read, num_classes=10, white=WHITE, mean=(0.0,), std=(1.0,))
AUTOENCODER = Source(read_for_autoencoders, num_classes=None, white=None)
