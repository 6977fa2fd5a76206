"""A run under a strategy, whose variables are no plain ones, is as on one device."""

import keras
import pytest

from keras_asgld.cli.command import main
from keras_asgld.runs import records

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="has strategies"
)
FLAGS = ("--train_size=64", "--epochs=2", "--optimizer=asgld")


@pytest.mark.parametrize("drops", ["none", pytest.param("1", marks=pytest.mark.slow)])
def test_mirrored_runs_end_with_or_without_a_schedule(tmp_path, capsys, drops):
    epochs = {}
    for strategy in ("mirrored", "one"):
        folder = tmp_path / strategy
        flags = (f"--drop_epochs={drops}", f"--strategy={strategy}")
        assert main(["train", *FLAGS, *flags, f"--out_dir={folder}"]) == 0
        epochs[strategy] = records.read(folder)["epochs"]
    for ours, theirs in zip(epochs["mirrored"], epochs["one"], strict=True):
        assert ours["learning_rate"] == theirs["learning_rate"]
        for name in ("train_loss", "test_loss"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-5)
