"""Damaged files of arrays: an error of one kind, or the very arrays."""

import collections
import io
import zipfile

import numpy as np
import pytest

from keras_asgld import npz
from tests.support.faults import damaged

ARRAYS = {
    "a": np.arange(3000, dtype=np.float32).reshape(3, 1000),
    "b": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "c": np.int64(7),
    "d": np.zeros((0, 5), np.uint8),
}


def packed(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **(arrays or ARRAYS))
    return file.getvalue()


def write(path, entries):
    """A zip of raw entries, a dict from name to bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def header(shape, dtype="'|u1'"):
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}"
    text = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_as_they_were_stored(tmp_path, save):
    path = tmp_path / "arrays.npz"
    path.write_bytes(packed(save))
    found = npz.read(path)
    assert list(found) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)


@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file required")
def test_damage_is_an_error_or_changes_nothing(tmp_path):
    contents = [packed(np.savez), packed(np.savez_compressed)]
    outcomes = collections.Counter()
    for seed in range(500):
        path = tmp_path / "arrays.npz"
        path.write_bytes(damaged(contents[seed % 2], seed))
        try:
            found = npz.read(path)
        except ValueError as error:
            assert str(error) and "\n" not in str(error)
            outcomes["error"] += 1
        else:
            # Dates, flags and attributes may be damaged, and an entry's name.
            for value in found.values():
                assert any(np.array_equal(value, known) for known in ARRAYS.values())
            outcomes["equal"] += 1
    assert outcomes["error"] > 450


@pytest.mark.parametrize("shape", [(3 * 2**40,), (2**62, 2**62), (10**30,), (-4,)])
def test_a_header_that_promises_more_than_the_file_holds(tmp_path, shape):
    path = write(tmp_path / "arrays.npz", {"a.npy": header(shape) + bytes(100)})
    with pytest.raises(ValueError, match="does not have the size of an array"):
        npz.read(path)


def test_a_directory_that_promises_so_too_reserves_no_memory(tmp_path):
    # The zip's own entry says three terabytes as well.
    text = header((3 * 2**40,))
    content = bytearray(write(tmp_path / "a.npz", {"a.npy": text}).read_bytes())
    extra = (1).to_bytes(2, "little") + (8).to_bytes(2, "little")
    extra += (3 * 2**40 + len(text)).to_bytes(8, "little")
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = b"\xff" * 4  # "see the 64-bit field"
    content[entry + 30 : entry + 32] = len(extra).to_bytes(2, "little")
    end = entry + 46 + len("a.npy")
    content[end:end] = extra
    size = content.index(b"PK\x05\x06") + 12
    length = int.from_bytes(content[size : size + 4], "little") + len(extra)
    content[size : size + 4] = length.to_bytes(4, "little")
    (tmp_path / "a.npz").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.getinfo("a.npy").file_size == 3 * 2**40 + len(text)
    with pytest.raises(ValueError, match="does not have the size of an array"):
        npz.read(tmp_path / "a.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a.npy", "a"])
def test_two_arrays_of_one_name_are_refused(tmp_path, second):
    path = tmp_path / "arrays.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.npy", second):
            archive.writestr(name, header((4,)) + bytes(4))
    with pytest.raises(ValueError, match="it holds a twice"):
        npz.read(path)


def test_what_is_no_file_of_arrays(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "array.npz")
    (tmp_path / "folder.npz").mkdir()
    write(tmp_path / "text.npz", {"a.txt": b"text"})
    write(tmp_path / "future.npz", {"a.npy": b"\x93NUMPY\x09\x00" + bytes(20)})
    objects = np.array([{"a": 1}], dtype=object)
    (tmp_path / "objects.npz").write_bytes(packed(a=objects))
    (tmp_path / "empty.npz").touch()
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError):
            npz.read(path)
    with pytest.raises(FileNotFoundError):
        npz.read(tmp_path / "absent.npz")
