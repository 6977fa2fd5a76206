"""A SavedModel packed as one file, as TensorFlow Hub hands it out."""

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path

_DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error)


def unpacked(path):
    """The folder that holds the content of an archive on this disk.

    `tensorflow_hub` itself unpacks only what it fetches. As there, the content goes
    into `TFHUB_CACHE_DIR` or, without it, a folder for temporary files, and is found
    there again. It is named by the archive's own digest, so that another archive
    under the same name is another module.

    Args:
        path: A tar file, compressed or not (`.tar.gz`, `.tgz`, `.tar`, `.tar.xz`).

    Returns:
        A `Path`: the archive's root, or its only folder.

    Raises:
        ValueError: If the file is no archive, is damaged, or would write outside of
            its folder.
    """
    cache = os.environ.get("TFHUB_CACHE_DIR")
    cache = Path(cache or Path(tempfile.gettempdir()) / "tfhub_modules")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder = cache / f"archive-{digest}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=cache))
        try:
            _unpack(path, partial)
            # Whole or absent; another process may have been faster.
            with contextlib.suppress(OSError):
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _unpack(path, folder):
    try:
        with tarfile.open(path) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(folder, filter="data")
            else:  # Python before 3.11.4
                archive.extractall(folder, _plain_members(archive))
            # The checksum of what is compressed stands behind all that tarfile reads.
            while archive.fileobj.read(2**20):
                pass
    except _DAMAGE as error:
        reason = str(error).partition(":")[0]  # what follows is a line for each format
        raise ValueError(
            "`handle` must be a folder, an address or a sound tar archive of a "
            f"SavedModel ({reason}). Received: handle={os.fspath(path)!r}"
        ) from error


def _plain_members(archive):
    """All members, if they are files and folders that stay within the archive's."""
    members = archive.getmembers()
    for member in members:
        parts = Path(member.name).parts
        if not (member.isfile() or member.isdir()) or {"..", "/"} & set(parts):
            raise tarfile.ExtractError(f"{member.name!r} leads out of the archive")
    return members
