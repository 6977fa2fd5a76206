"""The members of an ensemble on disk, and what befalls them there."""

import collections
import json

import keras
import numpy as np
import pytest

from keras_asgld.callbacks.members import MANIFEST, Members
from tests.support import faults


def make(units=3):
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])


def store(folder, steps, model=None, at_most=99):
    """Members of those steps, whose weights are all the step's number."""
    model = model or make()
    members = Members(folder)
    for number, step in enumerate(steps, 1):
        model.set_weights([np.full(w.shape, step, "float32") for w in model.weights])
        members.add(step, number, model, at_most)
    return members, model


def assert_sound(members, model, steps):
    assert members.steps() == steps
    for step in steps:
        for weight in members.read(step, model):
            expected = np.full(weight.shape, step, "float32")
            np.testing.assert_array_equal(weight, expected)


def test_steps_of_more_digits_than_the_name_has_room_for(tmp_path):
    steps = [1, 999_999_999, 1_000_000_000, 10**12]
    members, model = store(tmp_path, steps)
    assert_sound(members, model, steps)
    assert members.last() == (10**12, 4)
    members.cut(1_000_000_000)
    assert_sound(members, model, steps[:3])
    store(tmp_path, [*steps, 10**13], at_most=2)
    assert_sound(members, model, [10**12, 10**13])
    assert len(list(tmp_path.glob("step-*.npz"))) == 2


def test_a_member_of_another_ensemble_is_refused(tmp_path):
    members, model = store(tmp_path / "ours", [1, 2])
    others, _ = store(tmp_path / "theirs", [1, 3])
    members.path(2).write_bytes(others.path(3).read_bytes())
    with pytest.raises(ValueError, match="step-000000002.npz is not the one that"):
        members.read(2, model)
    # Lists that know no digests are older.
    manifest = json.loads((tmp_path / "ours" / MANIFEST).read_text())
    for member in manifest["members"]:
        del member["sha256"]
    (tmp_path / "ours" / MANIFEST).write_text(json.dumps(manifest))
    assert members.read(2, model)[0].max() == 3
    manifest["members"][0]["sha256"] = None
    (tmp_path / "ours" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="`sha256` of step 1 must be a string"):
        members.steps()


def test_a_damaged_member_is_named_or_as_it_was(tmp_path):
    members, model = store(tmp_path, [1, 2])
    path = members.path(2)
    whole = path.read_bytes()
    outcomes = collections.Counter()
    for seed in range(500):
        path.write_bytes(faults.damaged(whole, seed))
        try:
            assert_sound(members, model, [1, 2])
            outcomes["equal"] += 1
        except ValueError as error:
            assert path.name in str(error) and "`directory` must hold" in str(error)
            outcomes["error"] += 1
    assert outcomes["error"] > 400


def test_a_damaged_manifest_is_named_or_as_it_was(tmp_path):
    members, model = store(tmp_path, [1, 22, 333])
    path = tmp_path / MANIFEST
    whole = path.read_bytes()
    outcomes = collections.Counter()
    for seed in range(500):
        path.write_bytes(faults.damaged(whole, seed))
        try:
            assert_sound(members, model, [1, 22, 333])
            outcomes["equal"] += 1
        except ValueError as error:
            assert MANIFEST in str(error)
            outcomes["error"] += 1
    assert outcomes["error"] > 400


@pytest.mark.parametrize(
    "content, words",
    [
        ("[" * 200_000, "maximum recursion depth"),
        ("1" * 5000, "4300 digits"),
        ("[]", "`format` must be 1"),
        ('{"format": 2, "members": []}', "`format` must be 1"),
        ('{"format": 1}', "`members` must be a list"),
        ('{"format": 1, "origin": {"noise": 1}}', "`origin` must be a dictionary"),
        ('{"format": 1, "origin": 3}', "`origin` must be a dictionary"),
        ('{"format": 1, "members": [3]}', "must be a dictionary"),
        ({"step": "2"}, "`step` of a member must be an integer"),
        ({"step": True}, "`step` of a member must be an integer"),
        ({"step": -2}, "`step` of a member must be an integer"),
        ({"step": 1e999}, "`step` of a member must be an integer"),
        ({"number": None}, "`number` of a member must be an integer"),
        ({"step": 1}, "`step` must rise"),
        ({"weights": "../outside.npz"}, "must be step-000000002.npz"),
    ],
)
def test_what_is_no_manifest(tmp_path, content, words):
    members, _ = store(tmp_path, [1, 2])
    path = tmp_path / MANIFEST
    if isinstance(content, dict):
        manifest = json.loads(path.read_text())
        manifest["members"][1].update(content)
        content = json.dumps(manifest)
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{MANIFEST} is no manifest.*{words}"):
        members.steps()


def test_members_without_their_manifest_are_neither_forgotten_nor_deleted(tmp_path):
    members, model = store(tmp_path, [1, 2])
    (tmp_path / MANIFEST).unlink()
    for use in (
        members.steps,
        members.last,
        members.check_files,
        lambda: members.cut(1),
        lambda: members.add(3, 3, model, 9),
    ):
        with pytest.raises(ValueError, match=f"must hold {MANIFEST}, which lists"):
            use()
    assert len(list(tmp_path.glob("step-*.npz"))) == 2


def test_a_process_killed_before_its_first_member_is_listed(tmp_path, monkeypatch):
    put = Members._list

    def killed(self, members):
        if members:
            raise KeyboardInterrupt
        put(self, members)

    with monkeypatch.context() as patch:
        patch.setattr(Members, "_list", killed)
        with pytest.raises(KeyboardInterrupt):
            store(tmp_path, [1])
    assert Members(tmp_path).path(1).exists() and Members(tmp_path).steps() == []
    members, model = store(tmp_path, [1, 2])
    assert_sound(members, model, [1, 2])


def test_every_member_must_have_its_file(tmp_path):
    members, model = store(tmp_path, [1, 2, 3])
    members.check_files()
    for step in (1, 3):
        members.path(step).unlink()
    words = "hold the file of every member.* without step-000000001.npz, step-00000000"
    with pytest.raises(ValueError, match=words):
        members.check_files()
    with pytest.raises(ValueError, match="without step-000000003.npz"):
        members.read(3, model)


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"x": np.zeros(3)}, "holds other arrays"),
        ({"arr_0": np.zeros((2, 3)), "arr_2": np.zeros(3)}, "holds other arrays"),
        ({"arr_0": np.zeros((2, 3)), "arr_1": np.zeros(4)}, r"instead of \[\(2, 3\)"),
        ({"arr_0": np.full((2, 3), "a"), "arr_1": np.zeros(3)}, "of dtype <U1"),
        ({"arr_0": np.zeros((2, 3), "complex64"), "arr_1": np.zeros(3)}, "complex64"),
    ],
)
def test_files_of_other_arrays_are_refused_by_name(tmp_path, arrays, words):
    members, model = store(tmp_path, [1])
    np.savez(members.path(1), **arrays)
    with pytest.raises(ValueError, match=f"step-000000001.npz .*{words}"):
        members.read(1, model)


def test_a_full_disk_at_any_byte_leaves_the_members_before(tmp_path):
    members, model = store(tmp_path / "first", [1, 2], at_most=2)
    size = members.path(2).stat().st_size
    assert 0 < (tmp_path / "first" / MANIFEST).stat().st_size < size
    # Below the manifest's size the first write fails, above it that of the weights.
    limits = [*range(0, size, 37), size - 1]
    for limit in limits:
        for folder, before in ((tmp_path / "first", [1, 2]), (tmp_path / "new", [])):
            members = Members(folder)
            refused = pytest.raises(OSError, match="too large.*(step-|ensemble.json)")
            with faults.largest_file(limit), refused:
                members.add(3, 3, model, 2)
            assert_sound(members, model, before)
            assert not list(folder.glob(".partial-*"))
    store(tmp_path / "first", [3], model, at_most=2)
    assert_sound(Members(tmp_path / "first"), model, [2, 3])


def test_a_full_disk_at_the_manifest_leaves_the_members_before(tmp_path):
    # Of twenty members the manifest is larger than a file of weights.
    steps = list(range(1, 21))
    members, model = store(tmp_path, steps)
    largest = members.path(1).stat().st_size
    assert (tmp_path / MANIFEST).stat().st_size > largest
    with faults.largest_file(largest):
        with pytest.raises(OSError, match=f"too large.*{MANIFEST}"):
            members.add(21, 21, model, 99)
        with pytest.raises(OSError, match=f"too large.*{MANIFEST}"):
            members.cut(19)
    assert_sound(members, model, steps)
    members.add(21, 21, model, 99)
    assert members.steps() == [*steps, 21]


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    members, model = store(tmp_path / "members", [1, 2])
    with faults.read_only(tmp_path / "members"):
        with pytest.raises(PermissionError, match="members"):
            members.add(3, 3, model, 9)
        with pytest.raises(PermissionError, match="members"):
            members.cut(1)
        with pytest.raises(PermissionError, match="members"):
            Members(tmp_path / "members" / "new").add(1, 1, model, 9)
        assert_sound(members, model, [1, 2])
