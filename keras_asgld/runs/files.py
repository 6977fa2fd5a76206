"""Whole files and writable folders, and errors that fit on one line."""

import contextlib
import json
import tempfile
from pathlib import Path

from keras_asgld import atomic, lock
from keras_asgld.atomic import remove_partial

__all__ = [
    "ExperimentError",
    "locked",
    "new_folder",
    "read_json",
    "remove_partial",
    "replacing",
    "write",
]


class ExperimentError(Exception):
    """A fault the user can mend. The message is one line."""


def write(path, data):
    """Write `data` (str, or bytes in pieces) so that no reader ever sees half of it."""
    # A name that is no text to Unicode, as a folder's may be, is told by its bytes.
    pieces = [data.encode(errors="backslashreplace")] if isinstance(data, str) else data
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


@contextlib.contextmanager
def locked(folder):
    """As `lock.held`, with the user's kind of error."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock.held(folder))
        except OSError as error:
            place = error.filename or folder
            raise ExperimentError(f"{place}: {reason(error)}") from error
        yield


def read_json(path, advice=""):
    """What the file `path` holds, which must be JSON.

    Raises:
        FileNotFoundError: There is none.
        ExperimentError: It cannot be read or is no JSON, and what `advice` says.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ExperimentError(f"{path}: {reason(error)}") from error
    except RecursionError as error:
        raise ExperimentError(f"{path}: nested too deeply{advice}") from error
    except ValueError as error:
        raise ExperimentError(f"{path}: no whole JSON ({error}){advice}") from error


@contextlib.contextmanager
def new_folder(path):
    """The folder `path`, made if it is missing, and found to be one to write in.

    Where the block fails before anything is in it, it is removed again, with those
    above it that were missing too.
    """
    path = Path(path)
    made = []
    try:
        try:
            missing = [each for each in (path, *path.parents) if not each.exists()]
            for each in reversed(missing):
                each.mkdir(exist_ok=True)
                made.insert(0, each)
            with tempfile.TemporaryFile(dir=path, prefix=atomic.PARTIAL):
                pass
        except (OSError, ValueError) as error:
            raise ExperimentError(
                f"cannot write to the folder {path}: {reason(error)}"
            ) from error
        yield path
    except BaseException:
        with contextlib.suppress(OSError):  # somebody's files are in it
            for each in made:
                each.rmdir()
        raise


def reason(error):
    """The operating system's words alone, on one line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())
