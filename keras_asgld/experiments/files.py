"""Files that are either whole or absent, and errors that fit on one line."""

import contextlib
import os
import tempfile
from pathlib import Path

PARTIAL = ".partial-"


class ExperimentError(Exception):
    """A fault the user can mend. The message is one line."""


def write(path, data):
    """Write `data` (str, or bytes in pieces) so that no reader ever sees half of it.

    The bytes go to a temporary file in the same folder, reach the disk, and
    take the name `path` in one step: a process killed at any moment leaves
    either the old content or the new.
    """
    pieces = [data.encode()] if isinstance(data, str) else data
    with replacing(path) as partial, open(partial, "wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path):
    """A temporary name beside `path`, which becomes `path` if all goes well.

    The suffixes are kept, for writers that choose the format by them.
    """
    path = Path(path)
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise ExperimentError(f"cannot write {path}: {reason(error)}") from error
    finally:
        partial.unlink(missing_ok=True)


def make_folder(path):
    """Create the folder `path` and make sure that files can be written in it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path, prefix=PARTIAL):
            pass
    except OSError as error:
        raise ExperimentError(
            f"cannot write to the folder {path}: {reason(error)}"
        ) from error
    return path


def remove_partial(folder):
    """Remove what a killed process left half-written in `folder`."""
    for path in Path(folder).glob(f"{PARTIAL}*"):
        path.unlink(missing_ok=True)


def reason(error):
    """The operating system's words alone, on one line."""
    return error.strerror or " ".join(str(error).split())
