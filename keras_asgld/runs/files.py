"""Whole files and writable folders, and errors that fit on one line."""

import contextlib
import tempfile
from pathlib import Path

from keras_asgld import atomic
from keras_asgld.atomic import remove_partial

__all__ = ["ExperimentError", "make_folder", "remove_partial", "replacing", "write"]


class ExperimentError(Exception):
    """A fault the user can mend. The message is one line."""


def write(path, data):
    """Write `data` (str, or bytes in pieces) so that no reader ever sees half of it."""
    pieces = [data.encode()] if isinstance(data, str) else data
    with replacing(path) as partial, open(partial, "wb") as file:
        file.writelines(pieces)


@contextlib.contextmanager
def replacing(path):
    """As `atomic.replacing`, with the user's kind of error."""
    try:
        with atomic.replacing(path) as partial:
            yield partial
    except OSError as error:
        raise ExperimentError(f"cannot write {path}: {reason(error)}") from error


def make_folder(path):
    """Create the folder `path` and make sure that files can be written in it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path, prefix=atomic.PARTIAL):
            pass
    except OSError as error:
        raise ExperimentError(
            f"cannot write to the folder {path}: {reason(error)}"
        ) from error
    return path


def reason(error):
    """The operating system's words alone, on one line."""
    return error.strerror or " ".join(str(error).split())
