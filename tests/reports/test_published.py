"""Published curves beside one's own."""

import json

import pytest

from keras_asgld.cli.command import main
from keras_asgld.reports import published

HEADER = "source,model,optimizer,settings,epoch,train_accuracy,test_accuracy\n"
GOOD = HEADER + (
    "paper,cnn,sgd,lr0.1-momentum0.9,1,40.5,41\n"
    "paper,cnn,sgd,lr0.1-momentum0.9,2,50.5,49\n"
    "paper,cnn,adam,lr0.001,1,60,61\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figures = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    others = ("learning_rate", "seconds", "step_seconds")
    epoch = dict.fromkeys([*figures, *others], 0.5)
    record = {
        "format": 1,
        "status": "finished",
        "settings": {"dataset": "cifar10", "model": "cnn", "optimizer": "asgld"},
        "versions": {},
        "machine": {},
        "epochs": [epoch | {"epoch": 1}, epoch | {"epoch": 2}],
    }
    place = tmp_path / "run"
    place.mkdir()
    (place / "record.json").write_text(json.dumps(record))
    return tmp_path


def test_curves_are_read_by_model_and_name(tmp_path):
    (tmp_path / "curves.csv").write_text(GOOD)
    assert published.read(tmp_path / "curves.csv") == {
        "cnn": {
            "momentum (paper)": {
                "train_accuracy": [40.5, 50.5],
                "test_accuracy": [41.0, 49.0],
            },
            "adam (paper)": {"train_accuracy": [60.0], "test_accuracy": [61.0]},
        }
    }


def test_plot_overlays_them(folder, capsys):
    (folder / "curves.csv").write_text(GOOD)
    assert main(["plot", "run", "--out=without.png"]) == 0
    assert main(["plot", "run", "--out=with.png", "--reference=curves.csv"]) == 0
    without, with_them = (folder / n for n in ("without.png", "with.png"))
    assert with_them.stat().st_size > without.stat().st_size + 5_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the header must be source,"),
        ("epoch,test\n1,2\n", "the header must be source,"),
        (HEADER, "no curves in it"),
        (HEADER + "a,cnn,sgd,x,1,40\n", "line 2: it must have 7 cells"),
        (HEADER + "a,cnn,sgd,x,1,40,41,42\n", "line 2: it must have 7 cells"),
        (HEADER + "a,cnn,sgd,x,2,40,41\n", "line 2: `epoch` must be 1"),
        (HEADER + "a,cnn,sgd,x,1,40,lots\n", "`test_accuracy` must be in [0, 100]"),
        (HEADER + "a,cnn,sgd,x,1,nan,4\n", "`train_accuracy` must be in [0, 100]"),
        (GOOD.replace("cnn", "resnet34"), "no curves of cnn (there are resnet34)"),
    ],
)
def test_a_malformed_file_is_one_line(folder, capsys, text, words):
    (folder / "curves.csv").write_text(text)
    assert main(["plot", "run", "--reference=curves.csv"]) == 2
    errors = capsys.readouterr().err
    assert words in errors and "curves.csv" in errors and errors.count("\n") == 1
    assert not (folder / "curves.png").exists()


def test_a_missing_or_binary_file_is_one_line(folder, capsys):
    assert main(["plot", "run", "--reference=none.csv"]) == 2
    assert "none.csv: No such file" in capsys.readouterr().err
    (folder / "picture.csv").write_bytes(b"\xff\xfe\x00")
    assert main(["plot", "run", "--reference=picture.csv"]) == 2
    assert "picture.csv: no CSV file" in capsys.readouterr().err
