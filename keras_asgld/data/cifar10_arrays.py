"""CIFAR-10 without TensorFlow Datasets: a file of arrays, or what Keras downloads."""

import contextlib
import socket

import numpy as np

from keras_asgld import npz
from keras_asgld.data.source import DataError, Examples

FILE = "cifar10.npz"
_NAMES = {"x_train", "y_train", "x_test", "y_test"}
# Seconds of silence after which a download is given up.
PATIENCE = 30


def read_file(path):
    """Reads `x_train`, `y_train`, `x_test` and `y_test` from a NumPy `.npz` file.

    Args:
        path: The file. Its pictures are uint8 `[n, 32, 32, 3]`, its labels integers
            below 10, `[n]` or `[n, 1]`, as `keras.datasets.cifar10.load_data` returns
            them.

    Raises:
        DataError: When the file is absent or damaged, or holds anything else.
    """
    try:
        arrays = npz.read(path)
    except (FileNotFoundError, ValueError) as error:
        raise DataError(f"CIFAR-10 cannot be read from {path}: {error}") from error
    absent = sorted(_NAMES.difference(arrays))
    if absent:
        raise DataError(
            f"CIFAR-10 cannot be read from {path}: it holds no {', '.join(absent)}"
        )
    parts = [(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")]
    for pictures, labels in parts:
        good = (
            pictures.dtype == np.uint8
            and pictures.shape[1:] == (32, 32, 3)
            and labels.dtype.kind in "iu"
            and labels.size == len(pictures) > 0
            and 0 <= labels.min() <= labels.max() < 10
        )
        if not good:
            raise DataError(
                f"{path} must hold pictures, uint8 [n, 32, 32, 3], and as many labels "
                f"below 10. It holds {pictures.dtype} {list(pictures.shape)} and "
                f"{labels.dtype} {list(labels.shape)}."
            )
    return tuple(_examples(*part) for part in parts)


def download():
    """Returns what `keras.datasets.cifar10` has on disk or downloads.

    Raises:
        DataError: When the data set is absent and cannot be downloaded.
    """
    import keras

    try:
        with _impatience():
            parts = keras.datasets.cifar10.load_data()
    except Exception as error:  # Keras raises a bare one
        raise DataError(
            f"CIFAR-10 cannot be downloaded by Keras: {error}; connect to the network, "
            f"or name a folder that holds a file {FILE} (--data_dir)."
        ) from error
    return tuple(_examples(*part) for part in parts)


def _examples(pictures, labels):
    return Examples(pictures, labels.reshape(-1).astype(np.int32))


@contextlib.contextmanager
def _impatience():
    # Keras's client waits forever for a host that does not answer.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
