"""NumPy's `.npz` files, read so that a damaged one is an error and never an array."""

import os
import zipfile

import numpy as np

# Deflate, NumPy's own compression, makes nothing smaller than by this factor.
_LARGEST_RATIO = 1032


def read(path):
    """The arrays of a `.npz` file, a dict by name.

    Unlike `numpy.load`, it reads all of them, reserves memory only for what a file of
    this size can hold, and takes neither pickles nor a bare `.npy` file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of another kind or not readable; the
            message is the reason alone, on one line.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            room = _LARGEST_RATIO * os.path.getsize(path)
            arrays = {}
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                if name in arrays:
                    raise ValueError(f"it holds {name} twice")
                arrays[name] = _array(archive, entry, room)
            return arrays
    except FileNotFoundError:
        raise
    # What zipfile, its decompressors and NumPy raise on a damaged file has no common
    # base below Exception: zlib.error, NotImplementedError, TokenError, MemoryError, …
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(reason or type(error).__name__) from error


def _array(archive, entry, room):
    # Opened twice, since going back in a file may switch off its checksum.
    with archive.open(entry) as file:
        shape, dtype = _header(file)
        size = dtype.itemsize
        for axis in shape:
            size *= axis
        if not 0 <= size == entry.file_size - file.tell() or size > room:
            raise ValueError(
                f"{entry.filename} does not have the size of an array of shape "
                f"{shape} and dtype {dtype}"
            )
    with archive.open(entry) as file:
        values = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # at its end the checksum is compared
    return values


def _header(file):
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"NumPy's format of version {version} is not known")
    shape, _, dtype = readers[version](file)
    return shape, dtype
