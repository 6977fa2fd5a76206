"""One process at a time in a folder."""

import contextlib
import errno
import os
import socket
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where the user must see to it
    fcntl = None

NAME = "lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # as on some networks' disks


@contextlib.contextmanager
def held(folder):
    """Keeps other processes out of `folder`, which exists, meanwhile.

    The lock is the operating system's, so that a killed process leaves none: the file
    that it leaves says nothing. Where there are no locks nobody is kept out.

    Raises:
        BlockingIOError: Another process is in it, which the message names.
        OSError: The file that is locked cannot be made.
    """
    path = Path(folder) / NAME
    with contextlib.ExitStack() as stack:
        locked = _lock(path, stack)
        try:
            yield
        finally:
            if locked:
                path.unlink(missing_ok=True)


def _lock(path, stack):
    """Locks the file `path` until the stack is left, if there are locks."""
    while fcntl is not None:
        file = stack.enter_context(path.open("a+", errors="replace"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            who = " ".join(file.read(200).split()) or "another process"
            text = f"in use by {who}"
            raise BlockingIOError(error.errno, text, str(path.parent)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            path.unlink(missing_ok=True)
            break
        # Whoever held it may have removed the file since it was opened here.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return _sign(path)
    return False


def _sign(path):
    """Writes into the locked file who holds it, for others to be told."""
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}")
    except OSError as error:  # a full disk is reported without a name
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
    return True
