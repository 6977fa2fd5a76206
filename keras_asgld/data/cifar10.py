"""CIFAR-10 through TensorFlow Datasets, or from arrays where there is a file."""

import contextlib
import dataclasses
import os
import threading

import keras
import numpy as np
from absl import logging

from keras_asgld.data import cifar10_arrays
from keras_asgld.data.source import DataError, Examples, Source

# Seconds in which the data set's host must answer. TFDS by itself retries for minutes.
PATIENCE = 5


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
    if data_dir is not None:
        data_dir = os.path.expanduser(data_dir)
        path = os.path.join(data_dir, cifar10_arrays.FILE)
        if os.path.exists(path):
            return cifar10_arrays.read_file(path)
    try:
        import tensorflow  # noqa: F401 - without it TFDS cannot read
        import tensorflow_datasets  # noqa: F401
    except ImportError:
        if data_dir is None:
            return cifar10_arrays.download()
        raise DataError(
            f"There is no file {cifar10_arrays.FILE} in {data_dir}, and TensorFlow "
            "Datasets, which could read another form, is not installed."
        ) from None
    return _from_tfds(data_dir)


def _from_tfds(data_dir):
    import tensorflow_datasets as tfds

    _leave_the_gpu_alone()
    with _one_line_errors("CIFAR-10 cannot be opened", data_dir):
        builder = tfds.builder("cifar10", data_dir=data_dir)
        with _quiet():
            prepared = builder.is_prepared()
    if not prepared:
        _require_host(next(iter(builder.url_infos)), builder.data_dir)
        with _one_line_errors("CIFAR-10 cannot be downloaded", data_dir):
            builder.download_and_prepare()
    with _one_line_errors("CIFAR-10 cannot be read", builder.data_dir):
        return tuple(_examples(builder, split) for split in ("train", "test"))


def _leave_the_gpu_alone():
    """Keep TensorFlow off the accelerator on which another backend computes.

    It would take all the memory there as soon as it makes a tensor.
    """
    if keras.backend.backend() != "tensorflow":
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # it has been started before
            tf.config.set_visible_devices([], "GPU")


def _examples(builder, split):
    pictures, labels = builder.as_dataset(
        split=split, batch_size=-1, as_supervised=True, shuffle_files=False
    )
    return Examples(pictures.numpy(), labels.numpy().astype(np.int32))


@contextlib.contextmanager
def _one_line_errors(what, data_dir):
    # What TFDS raises on a full disk, a damaged file or a broken connection has no
    # common base below Exception.
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        where = data_dir or "the default data directory"
        raise DataError(f"{what} in {where}: {reason}") from error


@contextlib.contextmanager
def _quiet():
    # TFDS warns about the absent folder, which our own message explains better.
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _require_host(url, data_dir):
    """Raises unless the host of `url` answers within seconds."""
    # The client that TFDS downloads with, so that proxies and certificates count.
    import requests

    problem = ["no answer"]

    def knock():
        try:
            with requests.get(url, stream=True, timeout=PATIENCE) as response:
                response.raise_for_status()
            problem.clear()
        except Exception as error:  # an odd proxy setting raises errors of all kinds
            problem[:] = [type(error).__name__]

    # A name server that is silent is beyond the reach of `timeout`, hence the thread.
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(PATIENCE + 1)
    if problem:
        raise DataError(
            f"CIFAR-10 is not in {data_dir} and cannot be downloaded from {url} "
            f"({problem[0]}): connect to the network, or name a data directory in "
            "which TensorFlow Datasets has already prepared cifar10 (--data_dir)."
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
