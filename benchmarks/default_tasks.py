"""Six small tasks of different kinds, as arrays, for `defaults.py`."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_diabetes

from keras_asgld import data, models


@dataclasses.dataclass
class Task:
    """Arrays and a network.

    Attributes:
        parts: "train", "validation" and "test", each `(x, y)`.
        build: Takes a seed, returns the untrained network.
        epochs: How long it is trained.
        batch_size: Examples in a step.
        regression: Whether y is a number: then the score is R², else accuracy.
    """

    parts: dict
    build: Callable
    epochs: int
    batch_size: int = 32
    regression: bool = False


def digits():
    """The handwritten digits as pictures, a small network with batch norm."""
    return Task(_digits(), lambda s: models.build("digits", (8, 8, 1), 10, s), 8)


def rows():
    """The same digits read row by row as a sequence by a GRU.

    There is no real sequence data set that needs no download; this is the one that
    everyone has.
    """
    parts = {name: (x[..., 0], y) for name, (x, y) in _digits().items()}
    return Task(
        parts,
        _seeded(
            lambda: keras.Sequential(
                [keras.Input((8, 8)), layers.GRU(32, unroll=True), layers.Dense(10)]
            )
        ),
        epochs=15,
    )


def cifar_normalised(data_dir):
    """2,000 pictures of CIFAR-10 at 16 x 16, with batch normalisation."""
    return Task(
        _cifar(data_dir, 2000),
        lambda seed: models.build("cnn-narrow", (16, 16, 3), 10, seed),
        epochs=5,
    )


def cifar_plain(data_dir):
    """The same without batch normalisation."""

    def network():
        inputs = x = keras.Input((16, 16, 3))
        for filters in (16, 32, 64):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
            x = layers.MaxPooling2D()(x)
        x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
        return keras.Model(inputs, layers.Dense(10)(x))

    return Task(_cifar(data_dir, 2000), _seeded(network), epochs=8)


def fine_tuning(data_dir):
    """A network trained on five classes of CIFAR-10, fine-tuned on the other five.

    All layers are trained further, on 500 pictures, with a new last layer.
    """
    parts = _cifar(data_dir, 6000)
    before, after = (
        {name: _classes(part, wanted) for name, part in parts.items()}
        for wanted in (range(5), range(5, 10))
    )
    after["train"] = tuple(array[:500] for array in after["train"])
    network = models.build("cnn-narrow", (16, 16, 3), 5, 0)
    keras.utils.set_random_seed(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(0.003), loss)
    network.fit(*before["train"], epochs=6, batch_size=64, verbose=0)
    pretrained = network.get_weights()

    def build(seed):
        fresh = models.build("cnn-narrow", (16, 16, 3), 5, seed)
        last = len(fresh.layers[-1].weights)
        fresh.set_weights(pretrained[:-last] + fresh.get_weights()[-last:])
        return fresh

    return Task(after, build, epochs=10)


def tabular():
    """scikit-learn's diabetes table: ten numbers a patient, one number to predict."""
    x, y = load_diabetes(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(y))
    x, y = x[order].astype("float32"), y[order].astype("float32")
    ends = {"train": (0, 262), "validation": (262, 352), "test": (352, 442)}
    x, y = ((a - a[:262].mean(0)) / a[:262].std(0) for a in (x, y))
    return Task(
        {name: (x[i:j], y[i:j]) for name, (i, j) in ends.items()},
        _seeded(
            lambda: keras.Sequential(
                [
                    keras.Input((10,)),
                    layers.Dense(32, activation="relu"),
                    layers.Dense(32, activation="relu"),
                    layers.Dense(1),
                ]
            )
        ),
        epochs=20,
        regression=True,
    )


def tasks(data_dir):
    """A task's name → a function that makes it."""
    return {
        "digits": digits,
        "digits, row by row": rows,
        "tabular": tabular,
        "CIFAR-10, plain": lambda: cifar_plain(data_dir),
        "CIFAR-10, batch norm": lambda: cifar_normalised(data_dir),
        "fine-tuning": lambda: fine_tuning(data_dir),
    }


def _seeded(network):
    def build(seed):
        keras.utils.set_random_seed(seed)
        return network()

    return build


def _digits():
    return _arrays(data.load("digits", validation_size=300))


def _cifar(data_dir, train_size):
    # Of the test set a tenth of each class would be too coarse; half is enough.
    parts = _arrays(
        data.load(
            "cifar10",
            data_dir=data_dir,
            image_size=16,
            train_size=train_size,
            validation_size=2000,
        )
    )
    parts["test"] = tuple(array[:5000] for array in parts["test"])
    return parts


def _arrays(loaded):
    parts = {}
    for name in ("train", "validation", "test"):
        examples = getattr(loaded, f"{name}_examples")
        pictures = loaded.preprocessing.normalise(examples.pictures)
        parts[name] = (np.asarray(pictures), examples.labels)
    return parts


def _classes(part, wanted):
    x, y = part
    chosen = np.isin(y, list(wanted))
    return x[chosen], y[chosen] - min(wanted)
