"""CIFAR-10 through TensorFlow Datasets, or from arrays where there is a file."""

import dataclasses
import os

import numpy as np

from keras_asgld.data import catalogue, cifar10_arrays
from keras_asgld.data.source import DataError, Examples, Source


def read(data_dir=None):
    """Returns the training and the test examples, downloading them where needed.

    The order of the pictures, and so what a subset holds, is that of the place they
    come from.

    Args:
        data_dir: A folder with a file `cifar10.npz`, as `cifar10_arrays.read_file`
            takes it; else a TFDS data directory. `None` is TFDS's own default
            (`$TFDS_DATA_DIR` or `~/tensorflow_datasets`); where TFDS is not installed,
            it is what `keras.datasets.cifar10` downloads.

    Raises:
        DataError: When the data set is absent and cannot be downloaded, or is damaged.
    """
    data_dir = catalogue.folder(data_dir)
    if data_dir is not None:
        path = os.path.join(data_dir, cifar10_arrays.FILE)
        if os.path.exists(path):
            return cifar10_arrays.read_file(path)
    if catalogue.is_possible():
        return catalogue.read("cifar10", "CIFAR-10", data_dir, _both_parts)
    if data_dir is None:
        return cifar10_arrays.download()
    absent = f"file {cifar10_arrays.FILE} in {data_dir}"
    if not os.path.isdir(data_dir):
        absent = f"directory {data_dir} (--data_dir)"
    raise DataError(
        f"There is no {absent}, and TensorFlow Datasets, which could read another "
        "form, is not installed."
    )


def _both_parts(builder):
    parts = (
        catalogue.columns(builder, split, "image", "label")
        for split in ("train", "test")
    )
    return tuple(
        Examples(pictures, labels.astype(np.int32)) for pictures, labels in parts
    )


SOURCE = Source(
    read,
    num_classes=10,
    white=255.0,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
    padding=4,
    mirror=True,
)
TRANSFER = dataclasses.replace(SOURCE, before=range(5))
