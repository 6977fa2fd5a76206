"""What befalls files: damage, a full disk, a folder that may not be written."""

import contextlib
import errno
import os
import resource
import sys

import numpy as np


def damaged(content, seed):
    """The bytes with damage of a kind and place that the seed chooses."""
    random = np.random.RandomState(seed)
    content = bytearray(content)
    length = len(content)
    kind = random.randint(4)
    if kind == 0:  # cut off
        del content[random.randint(length) :]
    elif kind == 1:  # single bytes
        for _ in range(random.randint(1, 8)):
            content[random.randint(length)] = random.randint(256)
    elif kind == 2:  # those of headers, which stand at both ends
        ends = min(400, length)
        for _ in range(random.randint(1, 4)):
            place = random.randint(ends)
            content[place if random.randint(2) else -1 - place] = random.randint(256)
    else:  # a whole stretch
        start, size = random.randint(length), random.randint(1, 500)
        content[start : start + size] = random.bytes(size)
    return bytes(content)


@contextlib.contextmanager
def largest_file(size):
    """No file may grow beyond `size` bytes, as on a disk that is then full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def read_only(folder):
    """Nothing can be written in the folder."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    superuser = os.geteuid() == 0
    if superuser:  # whom permissions do not bind
        parents = [p for p in folder.parents if not p.stat().st_mode & 0o001]
        modes = [p.stat().st_mode for p in parents]
        for parent in parents:
            parent.chmod(parent.stat().st_mode | 0o011)
        os.seteuid(65534)
    try:
        yield
    finally:
        if superuser:
            os.seteuid(0)
            for parent, before in zip(parents, modes, strict=True):
                parent.chmod(before)
        folder.chmod(mode)


class Disk:
    """Fails from the `after`-th file on that is opened for writing in a folder.

    Fails as a disk that has become read-only, or as one that is full: then the file is
    there and nothing can be put into it.
    """

    KINDS = ("read-only", "full")
    watching = None

    def __init__(self, kind, folder, after):
        self.kind, self.folder, self.left = kind, str(folder), after
        self.failed = False

    def __enter__(self):
        if Disk.watching is None:
            sys.addaudithook(Disk._hear)  # for good: there is no taking it away
        Disk.watching = self
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        return self

    def __exit__(self, *_):
        Disk.watching = False
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)

    @staticmethod
    def _hear(event, arguments):
        disk = Disk.watching
        if event == "open" and disk and str(arguments[0]).startswith(disk.folder):
            _, mode, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR):
                disk._open(arguments[0])

    def _open(self, path):
        self.left -= 1
        if self.left > 0:
            return
        self.failed = True
        if self.kind == "read-only":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, self.before[1]))
