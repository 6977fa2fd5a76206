"""A data set with every kind of preprocessing, and its batches as tf.data makes them.

As a program it writes the batches into a file, for tests on other backends.
"""

import sys

import numpy as np

from keras_asgld.data.pipeline import Data
from keras_asgld.data.preprocessing import Preprocessing
from keras_asgld.data.source import Examples

EPOCHS = 3
KINDS = ((8, False), (12, False), (8, True))  # a size, and whether mirrors alternate


def make(size=8, alternating=False):
    """50 pictures of 8 x 8, cropped and mirrored, in batches of 16, 16, 16 and 2."""
    pictures = np.random.RandomState(1).randint(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    examples = Examples(pictures, np.arange(50, dtype=np.int32))
    return Data(
        name="numbered",
        num_classes=50,
        batch_size=16,
        seed=2**40 + 3,
        preprocessing=Preprocessing(
            255.0,
            (0.49, 0.48, 0.45),
            (0.25, 0.2, 0.3),
            size,
            padding=2,
            mirror=True,
            alternating=alternating,
            reflect=alternating,
        ),
        train_examples=examples,
        validation_examples=examples.take(slice(0, 0)),
        test_examples=examples.take(slice(0, 21)),
    )


def write(path):
    """Every training batch of the first epochs and every test batch, of each kind."""
    found = {}
    for kind in KINDS:
        data = make(*kind)
        train = data.train().take(EPOCHS * data.steps_per_epoch)
        for part, batches in {"train": train, "test": data.test()}.items():
            for i, (pictures, labels) in enumerate(batches.as_numpy_iterator()):
                found[f"{kind} {part} {i} x"] = pictures
                found[f"{kind} {part} {i} y"] = labels
    np.savez(path, **found)


if __name__ == "__main__":
    write(sys.argv[1])
