"""What is found on disk is believed only if it belongs to this run."""

import json
import shutil

import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.cli.command import main
from keras_asgld.runs import checkpoints, training
from keras_asgld.runs.files import ExperimentError
from tests.support.interrupting import Interrupting

SMALL = ("--dataset=digits", "--train_size=64", "--epochs=2")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Folders of runs that were stopped, by settings: each is trained once."""
    return {}, tmp_path_factory.mktemp("begun")


@pytest.fixture
def interrupted(make_settings, tmp_path, begun):
    """A run that was stopped after its second epoch; starts it with other settings."""
    folders, place = begun
    digits = data.load("digits", batch_size=64, train_size=64)
    changes = {"train_size": 64, "epochs": 3}

    def start(after=None, **others):
        settings = make_settings(**changes, **others)
        return training.run(settings, tmp_path / "run", digits, Interrupting(after))

    def begin(**others):
        key = json.dumps(others)
        if key not in folders:
            with pytest.raises(KeyboardInterrupt):
                start(after=2, **others)
            folders[key] = place / str(len(folders))
            (tmp_path / "run").rename(folders[key])
        return shutil.copytree(folders[key], tmp_path / "run")

    return start, begin


def test_a_checkpoint_of_other_settings_is_refused(interrupted):
    start, begin = interrupted
    folder = begin()
    (folder / "record.json").unlink()
    for change, words in [
        ({"seed": 1}, "seed=0, not 1"),
        ({"weight_decay": 0.1}, "weight_decay=0.0005, not 0.1"),
        ({"overrides": {"learning_rate": 0.01}}, "hyperparameters="),
    ]:
        with pytest.raises(ExperimentError, match=words):
            start(**change)
        assert not (folder / "record.json").exists()
    record = start()
    assert record["status"] == "finished" and len(record["epochs"]) == 3


def test_a_checkpoint_from_other_initial_weights_is_refused(interrupted):
    start, begin = interrupted
    folder = begin()
    epoch, arrays, notes = checkpoints.load(folder, pytest.fail)
    notes["initial_weights_sha256"] = "0" * 64
    checkpoints.save(folder, epoch + 1, arrays, notes)
    with pytest.raises(ExperimentError, match="other initial weights"):
        start()


def test_a_checkpoint_that_says_nothing_needs_its_record(interrupted):
    start, begin = interrupted
    folder = begin()
    epoch, arrays, notes = checkpoints.load(folder, pytest.fail)
    # As versions before 0.2 wrote them.
    for path in folder.glob("*.checkpoint"):
        path.unlink()
    checkpoints.save(folder, epoch, arrays, notes["epochs"])
    record = (folder / "record.json").read_text()
    (folder / "record.json").unlink()
    with pytest.raises(ExperimentError, match="no record of what they are of"):
        start()
    (folder / "record.json").write_text(record)
    assert len(start()["epochs"]) == 3


def test_epochs_without_a_checkpoint_are_trained_again_and_it_is_said(
    interrupted, capsys
):
    start, begin = interrupted
    folder = begin()
    for path in folder.glob("*.checkpoint"):
        path.unlink()
    capsys.readouterr()
    assert len(start()["epochs"]) == 3
    printed = "".join(capsys.readouterr())
    assert "no checkpoint of the 2 epochs on record" in " ".join(printed.split())


@pytest.mark.parametrize("lost", ["all", "manifest", "one"])
def test_an_ensemble_that_lost_members_is_refused(interrupted, lost):
    start, begin = interrupted
    folder = begin(ensemble=3)
    members = folder / "members"
    if lost == "all":
        shutil.rmtree(members)
    elif lost == "manifest":
        (members / "ensemble.json").unlink()
    else:
        manifest = json.loads((members / "ensemble.json").read_text())
        manifest["members"].pop()
        (members / "ensemble.json").write_text(json.dumps(manifest))
    words = "of the 2 members that 2 epochs left"
    if lost == "manifest":
        words = "must hold ensemble.json, which lists its members"
    with pytest.raises(ExperimentError, match=words):
        start(ensemble=3)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("damage", ["removed", "cut", "of another network"])
def test_an_ensemble_with_a_damaged_member_is_refused(interrupted, which, damage):
    start, begin = interrupted
    folder = begin(ensemble=3)
    path = sorted((folder / "members").glob("*.npz"))[which]
    if damage == "removed":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        np.savez(path, np.zeros(3))
    with pytest.raises(ExperimentError, match=rf"{path.name}.*; remove .* begin again"):
        start(ensemble=3)


def test_an_ensemble_whose_manifest_is_damaged_is_refused(interrupted):
    start, begin = interrupted
    folder = begin(ensemble=3)
    (folder / "members" / "ensemble.json").write_text("{")
    with pytest.raises(ExperimentError, match=r"ensemble\.json"):
        start(ensemble=3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", *SMALL, f"--out_dir={folder}"]) == 0
    return folder


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "No such file or directory, though the run"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is damaged or of"),
        (lambda path: path.write_bytes(b""), "is damaged or of"),
    ],
)
def test_train_leaves_the_weights_that_it_says_it_leaves(
    damage, words, finished, tmp_path, capsys
):
    shutil.copytree(finished, tmp_path / "run")
    command = ["train", *SMALL, f"--out_dir={tmp_path}/run"]
    assert main(command) == 0
    damage(tmp_path / "run" / "model.weights.h5")
    capsys.readouterr()
    assert main(command) == 2
    printed = capsys.readouterr()
    assert words in printed.err and "record and weights" not in printed.out


def test_train_does_not_take_a_run_of_compare_for_its_own(tmp_path, capsys):
    compare = ["compare", *SMALL, "--optimizers=adam", "--seeds=1"]
    assert main([*compare, f"--out_dir={tmp_path}/all"]) == 0
    folder = tmp_path / "all/runs/adam-seed0"
    command = ["train", *SMALL, "--optimizer=adam", f"--out_dir={folder}"]
    assert main(command) == 2
    assert "though the run is finished" in capsys.readouterr().err


def test_checkpoints_of_more_than_a_million_epochs_are_found_in_order(tmp_path):
    for epoch in (999_999, 1_000_000, 1_000_001):
        checkpoints.save(tmp_path, epoch, [np.ones(2)], [])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-1000000.checkpoint", "epoch-1000001.checkpoint"]
    assert checkpoints.load(tmp_path, pytest.fail)[0] == 1_000_001
    checkpoints.remove(tmp_path)
    assert not list(tmp_path.iterdir())
