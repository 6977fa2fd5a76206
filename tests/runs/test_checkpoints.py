import numpy as np
import pytest

from keras_asgld.runs import checkpoints

ARRAYS = [np.arange(6, dtype="float32").reshape(2, 3), np.array(7, "int64")]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    checkpoints.save(tmp_path, 3, ARRAYS, [{"loss": 0.1}])
    epoch, arrays, notes = checkpoints.load(tmp_path, warn=pytest.fail)
    assert (epoch, notes) == (3, [{"loss": 0.1}])
    for got, expected in zip(arrays, ARRAYS, strict=True):
        assert got.dtype == expected.dtype and got.shape == expected.shape
        assert got.tobytes() == expected.tobytes()


def test_only_the_last_two_are_kept(tmp_path):
    for epoch in range(1, 5):
        checkpoints.save(tmp_path, epoch, ARRAYS, [])
    assert files(tmp_path) == ["epoch-000003.checkpoint", "epoch-000004.checkpoint"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "header"])
def test_a_damaged_one_is_reported_and_the_one_before_used(tmp_path, damage):
    checkpoints.save(tmp_path, 1, ARRAYS, ["one"])
    checkpoints.save(tmp_path, 2, ARRAYS, ["two"])
    newest = tmp_path / "epoch-000002.checkpoint"
    data = bytearray(newest.read_bytes())
    if damage == "cut":
        data = data[:-10]
    elif damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "empty":
        data = b""
    else:
        data[0] ^= 1
    newest.write_bytes(data)
    lines = []
    epoch, _, notes = checkpoints.load(tmp_path, lines.append)
    assert (epoch, notes) == (1, ["one"])
    assert len(lines) == 1 and str(newest) in lines[0] and "\n" not in lines[0]


def test_none_is_none(tmp_path):
    assert checkpoints.load(tmp_path, warn=pytest.fail) is None
