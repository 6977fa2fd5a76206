"""A disk that fails at any write: one line, and the same command goes on later."""

import io
import itertools
import json
import traceback

import numpy as np
import pytest

from keras_asgld.cli.command import main
from keras_asgld.reports import drawing
from keras_asgld.runs import checkpoints
from keras_asgld.runs.files import ExperimentError
from tests.support.faults import Disk

SMALL = ("--train_size=64", "--epochs=2", "--drop_epochs=none")
# A command, and how many writes further each attempt begins to fail.
COMMANDS = {
    "train": (("train", *SMALL), 1),
    "compare": (
        ("compare", *SMALL, "--optimizers=adam", "--seeds=1", "--ensemble=2"),
        3,
    ),
}


def numbers(folder):
    """The records' numbers, without times."""
    return {
        str(path.relative_to(folder)): [
            {name: value for name, value in epoch.items() if "seconds" not in name}
            for epoch in json.loads(path.read_text())["epochs"]
        ]
        for path in sorted(folder.rglob("record.json"))
    }


@pytest.mark.slow
# It says so when a run begins where one was cut off within its first epoch.
@pytest.mark.filterwarnings("ignore:`directory` held an ensemble of 1 members")
@pytest.mark.parametrize("kind", Disk.KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_whichever_write_fails_is_one_line_and_nothing_is_lost(
    command, kind, tmp_path, capsys
):
    arguments, every = COMMANDS[command]
    assert main([*arguments, f"--out_dir={tmp_path / 'whole'}"]) == 0
    names = sorted(path.name for path in (tmp_path / "whole").rglob("*"))
    for after in itertools.count(1, every):
        folder = tmp_path / str(after)
        capsys.readouterr()
        with Disk(kind, folder, after) as disk:
            status = main([*arguments, f"--out_dir={folder}"])
        output, errors = capsys.readouterr()
        if not disk.failed:
            break
        assert "Traceback" not in errors
        # A picture that cannot be drawn is a warning beside the records.
        assert status == 2 or "cannot write" in errors, errors
        assert status == 0 or (output == "" and "keras-asgld: " in errors), errors
        assert main([*arguments, f"--out_dir={folder}"]) == 0
        assert numbers(folder) == numbers(tmp_path / "whole")
        assert sorted(path.name for path in folder.rglob("*")) == names
    assert after > 5


@pytest.mark.parametrize(
    "save",
    [
        lambda folder: drawing.save(drawing.canvas(1, 1), folder / "figure.png"),
        lambda folder: checkpoints.save(folder, 1, [np.ones(3)], {}),
    ],
    ids=["figure", "checkpoint"],
)
def test_a_failed_write_leaves_no_view_of_a_buffer(save, tmp_path):
    """Or the garbage collector of Python 3.12.1 would end the program."""
    with pytest.raises(ExperimentError) as caught:
        save(tmp_path / "missing")
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
    values = [value for frame in frames for value in frame.f_locals.values()]
    (buffer,) = (value for value in values if isinstance(value, io.BytesIO))
    buffer.truncate(0)  # a BufferError if there is a view
