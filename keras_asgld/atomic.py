"""Files that are either whole or absent."""

import contextlib
import os
from pathlib import Path

PARTIAL = ".partial-"


@contextlib.contextmanager
def replacing(path):
    """A temporary name beside `path`, which becomes `path` if all goes well.

    What was written under it reaches the disk and takes the name `path` in one step:
    a process killed at any moment leaves either the old content or the new. The
    suffixes are kept, for writers that choose the format by them.
    """
    path = Path(path)
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.filename is None:  # a full disk is reported without one
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_partial(folder):
    """Remove what a killed process left half-written in `folder`."""
    for path in Path(folder).glob(f"{PARTIAL}*"):
        path.unlink(missing_ok=True)
