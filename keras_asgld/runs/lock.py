"""One process at a time in a folder that runs are written to."""

import contextlib
import os
import socket
from pathlib import Path

from keras_asgld.runs.files import ExperimentError, reason

try:
    import fcntl
except ImportError:  # Windows, where the user must see to it
    fcntl = None

NAME = "lock"


@contextlib.contextmanager
def held(folder):
    """Keeps other processes out of `folder` meanwhile.

    The lock is the operating system's, so that a killed process leaves none: the file
    that it leaves says nothing.

    Raises:
        ExperimentError: Another process holds it; the message names that one.
    """
    if fcntl is None:
        yield
        return
    path = Path(folder) / NAME
    with contextlib.ExitStack() as stack:
        try:
            file = _open(path, stack)
        except OSError as error:
            raise ExperimentError(f"cannot lock {path}: {reason(error)}") from error
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield
        finally:
            path.unlink(missing_ok=True)


def _open(path, stack):
    """The file `path`, locked."""
    while True:
        file = stack.enter_context(path.open("a+", errors="replace"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = " ".join(file.read(200).split()) or "another process"
            raise ExperimentError(
                f"{path.parent} is being written to by {who}"
            ) from None
        # Whoever held it may have removed the file since it was opened here.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
