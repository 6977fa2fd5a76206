"""What TensorFlow Datasets (TFDS) prepares in a folder, downloading it where needed."""

import contextlib
import os
import threading

import keras
from absl import logging

from keras_asgld.checks import check_directory, require
from keras_asgld.data import damage
from keras_asgld.data.source import DataError

# Seconds in which the data set's host must answer. TFDS by itself retries for minutes.
PATIENCE = 5


def is_possible():
    """Whether TFDS and TensorFlow, without which it cannot read, are installed."""
    try:
        import tensorflow  # noqa: F401
        import tensorflow_datasets  # noqa: F401
    except ImportError:
        return False
    return True


def folder(data_dir):
    """The user's data directory in full; `None` stays `None`.

    Raises:
        DataError: It is a file, or can be no directory for another reason.
    """
    if data_dir is None:
        return None
    path = os.path.expanduser(data_dir)
    constraint = "a directory, and this is a file"
    require(not os.path.isfile(path), "data_dir", data_dir, constraint, DataError)
    # An empty path would be the folder that one is in.
    require(path, "data_dir", data_dir, "the path of a directory", DataError)
    check_directory("data_dir", path, DataError)
    return path


def read(name, title, data_dir, take):
    """Returns what `take` makes of a data set, which is downloaded unless it is there.

    Args:
        name: What TFDS calls it.
        title: What messages call it.
        data_dir: A TFDS data directory; `None` is TFDS's own default
            (`$TFDS_DATA_DIR` or `~/tensorflow_datasets`).
        take: Takes TFDS's builder of the prepared data set.

    Raises:
        DataError: When the data set is absent and cannot be downloaded, or is damaged,
            or TFDS is not installed.
    """
    if not is_possible():
        raise DataError(
            f"{title} cannot be read without TensorFlow Datasets: run "
            "`pip install tensorflow tensorflow-datasets`."
        )
    import tensorflow_datasets as tfds

    _leave_the_gpu_alone()
    data_dir = folder(data_dir)
    with _one_line_errors(f"{title} cannot be opened", data_dir, damage.of_description):
        builder = tfds.builder(name, data_dir=data_dir)
        with _quiet():
            prepared = builder.is_prepared()
    if not prepared:
        _require_host(title, builder, data_dir)
        with _one_line_errors(f"{title} cannot be downloaded", data_dir):
            builder.download_and_prepare()
    place = builder.data_dir
    with _one_line_errors(f"{title} cannot be read", place, damage.of_examples):
        return take(builder)


def columns(builder, split, *names):
    """Some features of all examples in a split, in their order, as NumPy arrays."""
    table = builder.as_dataset(split=split, batch_size=-1, shuffle_files=False)
    return [table[name].numpy() for name in names]


def _leave_the_gpu_alone():
    """Keep TensorFlow off the accelerator on which another backend computes.

    It would take all the memory there as soon as it makes a tensor.
    """
    if keras.backend.backend() != "tensorflow":
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # it has been started before
            tf.config.set_visible_devices([], "GPU")


@contextlib.contextmanager
def _one_line_errors(what, data_dir, in_words=None):
    # What TFDS raises on a full disk, a damaged file or a broken connection has no
    # common base below Exception.
    try:
        yield
    except Exception as error:
        plain = " ".join(str(error).split())[:300] or type(error).__name__
        reason = in_words(error) if in_words else plain
        where = data_dir or "the default data directory"
        raise DataError(f"{what} in {where} (--data_dir): {reason}") from error


@contextlib.contextmanager
def _quiet():
    # TFDS warns about the absent folder, which our own message explains better.
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _require_host(title, builder, data_dir):
    """Raises unless the host that the data set comes from answers within seconds."""
    # The client that TFDS downloads with, so that proxies and certificates count.
    import requests

    url = next(iter(builder.url_infos))
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
        found = f"found in {builder.data_dir}"
        if data_dir and not os.path.isdir(data_dir):
            found = f"found, for there is no directory {data_dir} (--data_dir),"
        raise DataError(
            f"{title} cannot be {found} nor downloaded from {url} "
            f"({problem[0]}): connect to the network, or name a data directory in "
            f"which TensorFlow Datasets has already prepared {builder.name} "
            "(--data_dir)."
        )
