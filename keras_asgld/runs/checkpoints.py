"""Checkpoints that survive a kill at any moment, and damage to the newest.

A checkpoint is one file: a line of text with the SHA-256 of what follows, then
a NumPy `.npz`. It is written whole or not at all, and the last two are kept.
"""

import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np

from keras_asgld.runs import files

KEEP = 2
_NAME = re.compile(r"epoch-(\d{6,})\.checkpoint")
_HEADER = re.compile(rb"keras-asgld checkpoint 1 sha256=([0-9a-f]{64})\n")


def save(folder, epoch, arrays, notes):
    """Write the state after `epoch` whole epochs and drop all but the last two.

    Args:
        folder: Where checkpoints go; it exists.
        epoch: How many epochs are finished.
        arrays: A list of NumPy arrays.
        notes: What goes with them, as JSON can hold it.
    """
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    named = {f"array_{i}": array for i, array in enumerate(arrays)}
    np.savez(buffer, notes=text, **named)
    # Python 3.12.1 crashes if the collector finds a view that a failed write left.
    with buffer.getbuffer() as payload:
        digest = hashlib.sha256(payload).hexdigest()
        header = f"keras-asgld checkpoint 1 sha256={digest}\n".encode()
        files.write(Path(folder) / f"epoch-{epoch:06d}.checkpoint", [header, payload])
    for path in _newest_first(folder)[KEEP:]:
        path.unlink(missing_ok=True)


def load(folder, warn):
    """The newest sound checkpoint as `(epoch, arrays, notes)`, or None.

    Args:
        folder: Where `save` wrote.
        warn: Called with one line for each damaged file that is passed over.
    """
    for path in _newest_first(folder):
        try:
            arrays, notes = _read(path)
        except (OSError, ValueError) as error:
            warn(f"{path}: {error}; going back to the one before")
            continue
        return _epoch(path), arrays, notes
    return None


def remove(folder):
    """Remove every checkpoint in `folder`."""
    for path in _newest_first(folder):
        path.unlink(missing_ok=True)


def _newest_first(folder):
    paths = [p for p in Path(folder).glob("*") if _NAME.fullmatch(p.name)]
    return sorted(paths, key=_epoch, reverse=True)


def _epoch(path):
    return int(_NAME.fullmatch(path.name)[1])


def _read(path):
    data = path.read_bytes()
    header = _HEADER.match(data)
    payload = memoryview(data)[header.end() :] if header else b""
    if not header or hashlib.sha256(payload).hexdigest().encode() != header[1]:
        raise ValueError("damaged checkpoint")
    with np.load(io.BytesIO(payload)) as stored:
        notes = json.loads(stored["notes"].tobytes())
        arrays = [stored[f"array_{i}"] for i in range(len(stored.files) - 1)]
    return arrays, notes
