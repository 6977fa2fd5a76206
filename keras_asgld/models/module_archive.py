"""A SavedModel packed as one file, as TensorFlow Hub hands it out."""

import bz2
import contextlib
import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from keras_asgld.checks import shortened
from keras_asgld.models import private_folder

_DECOMPRESSORS = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x5d\x00\x00": lzma.open,
}
# What each file and folder takes on a disk, however small.
_BLOCK = 4096
# tarfile reads the content of files in small pieces, but a header at once.
_LARGEST_READ = 2**24


def unpacked(path, max_bytes):
    """The folder that holds the content of an archive on this disk.

    The content goes into `private_folder.cache()` and is found there again. It is named
    by the archive's own digest, so that another archive under the same name is another
    module. It is used if it is, byte for byte, what the archive holds, and the folder
    is this user's own. Where there is no such cache, it is unpacked for this process.

    Args:
        path: A tar file, compressed or not (`.tar.gz`, `.tgz`, `.tar`, `.tar.xz`).
        max_bytes: What the content may take on the disk.

    Returns:
        A `Path`: the archive's root, or its only folder.

    Raises:
        ValueError: If the file is no archive, is damaged, would write outside of its
            folder, holds more than `max_bytes`, or cannot be unpacked.
    """
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        cache = private_folder.cache()
        folder = cache and cache / f"archive-{digest}"
        if not (folder and _holds(folder, path, max_bytes)):
            folder = _unpack(path, max_bytes, folder)
        inside = list(folder.iterdir())
    except OSError as error:
        raise ValueError(
            f"`handle` cannot be unpacked ({shortened(str(error))}). "
            f"Received: handle={os.fspath(path)!r}"
        ) from error
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _unpack(path, max_bytes, folder):
    """Unpacks the archive into `folder`, or elsewhere if there is none to be had."""
    try:
        new = folder and tempfile.mkdtemp(prefix=".partial-", dir=folder.parent)
    except OSError:  # the cache may only be read
        new = None
    if new is None:
        return _extract(path, max_bytes, private_folder.temporary())
    new, old = Path(new), Path(f"{new}-old")
    try:
        _extract(path, max_bytes, new)
        # Whole or absent, at any moment.
        if _renamed(new, folder) or _holds(folder, path, max_bytes):
            return folder  # that of another process, if it was faster
        if private_folder.is_private(folder):
            _renamed(folder, old)  # of other content
        if _renamed(new, folder) or _holds(folder, path, max_bytes):
            return folder
        return _extract(path, max_bytes, private_folder.temporary())
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _renamed(folder, name):
    try:
        folder.rename(name)
    except OSError:
        return False
    return True


def _extract(path, max_bytes, folder):
    with _contents(path, max_bytes) as contents:
        for name, file in contents:
            target = folder / name
            directory = target if file is None else target.parent
            directory.mkdir(parents=True, exist_ok=True)
            if file is not None:
                with open(target, "wb") as copy:
                    shutil.copyfileobj(file, copy)
    return folder


def _holds(folder, path, max_bytes):
    """Whether a private folder has the content of the archive and no other."""
    if not private_folder.is_private(folder):
        return False
    files = {}
    for place, folders, names in os.walk(folder):
        for name in names + folders:
            each = Path(place, name)
            if each.is_symlink() or not (each.is_file() or each.is_dir()):
                return False
            if each.is_file():
                files[each] = False
    with _contents(path, max_bytes) as contents:
        for name, file in contents:
            target = folder / name
            if file is None:
                same = target.is_dir()
            else:
                same = files[target] = target in files and _equal(file, target)
            if not same:
                return False
    return all(files.values())


def _equal(file, path):
    with open(path, "rb") as other:
        while chunk := file.read(2**20):
            if other.read(len(chunk)) != chunk:
                return False
        return not other.read(1)


@contextlib.contextmanager
def _contents(path, max_bytes):
    """The archive's (name, open file) pairs, and (name, None) for its folders.

    To have gone through all of them is to know that the archive is sound.
    """
    received = f"Received: handle={os.fspath(path)!r}"
    try:
        with _decompressed(path) as file:
            stream = _Bounded(file, max_bytes + 2**20)  # which ends in empty blocks
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                yield _pairs(archive, stream, max_bytes)
    except _TooLarge as error:
        raise ValueError(
            "`handle` must be an archive that takes at most `max_unpacked_bytes`, "
            f"{max_bytes:,}, when it is unpacked. {received}"
        ) from error
    # What tarfile and the decompressors raise on a damaged file has no common base
    # below Exception. A full disk is another matter, and has a number.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(
            "`handle` must be a folder, an address or a sound tar archive of a "
            f"SavedModel ({reason}). {received}"
        ) from error


def _pairs(archive, stream, max_bytes):
    size = 0
    for member in archive:
        parts = Path(member.name).parts
        if not (member.isfile() or member.isdir()) or {"..", "/"} & set(parts):
            raise tarfile.ExtractError(
                f"{member.name!r} is a link or leads out of the archive"
            )
        size += member.size + _BLOCK * len(parts)
        if size > max_bytes:
            raise _TooLarge
        yield member.name, archive.extractfile(member)
    # tarfile ends as quietly at a damaged header as at the empty one that ends a file.
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("a header is damaged")
    # The checksum of what is compressed stands behind all that tarfile reads.
    while stream.read(2**20):
        pass


def _decompressed(path):
    with open(path, "rb") as file:
        start = file.read(8)
    for magic, opened in _DECOMPRESSORS.items():
        if start.startswith(magic):
            return opened(path)
    return open(path, "rb")


class _TooLarge(Exception):
    pass


class _Bounded:
    """A file that is not read beyond a limit, nor too much of it at once."""

    def __init__(self, file, limit):
        self._file, self._limit = file, limit
        self.tell = file.tell

    def read(self, size):
        if size > _LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        content = self._file.read(size)
        self._check(self.tell())
        return content

    def seek(self, position):
        self._check(position)
        return self._file.seek(position)

    def _check(self, position):
        if position > self._limit:
            raise _TooLarge
