"""What befalls files: damage, a full disk, a folder that may not be written."""

import contextlib
import os
import resource

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
