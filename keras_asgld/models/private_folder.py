"""Folders in which no other user of the machine can plant a program."""

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

VARIABLE = "TFHUB_CACHE_DIR"


def cache():
    """The folder where modules are kept from one process to the next, or `None`.

    It is `$TFHUB_CACHE_DIR` or, without it, a folder of the user's own among the
    temporary ones; `None` if that cannot be made or others can write there.
    """
    path = os.environ.get(VARIABLE)
    path = path or Path(tempfile.gettempdir()) / f"keras_asgld-{_user()}"
    try:
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(path).resolve()
        safe = is_private(path) and all(map(_is_safe_above, path.parents))
    except OSError:
        return None
    return path if safe else None


def temporary():
    """A new folder that is deleted when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="keras_asgld-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def is_private(path):
    """Whether it is a folder, and no link, that this user owns and alone can write."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == _user()
    return own and not _others_write(status)


@contextlib.contextmanager
def instead_of_the_shared_one():
    """Lets tensorflow_hub keep what it fetches here, unless it was told a place.

    Its own default is a folder that every user shares, and it trusts what is there.
    """
    if os.environ.get(VARIABLE):
        yield
        return
    os.environ[VARIABLE] = str(cache() or temporary())
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def _is_safe_above(folder):
    """Whether nobody else can rename or replace what this user has in the folder."""
    status = folder.stat()
    sticky = status.st_mode & stat.S_ISVTX  # only owners rename, as in /tmp
    return status.st_uid in (0, _user()) and (sticky or not _others_write(status))


def _others_write(status):
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _user():
    return os.getuid() if hasattr(os, "getuid") else 0  # Windows knows none
