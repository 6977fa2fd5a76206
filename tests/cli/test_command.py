"""The command in this process: what it accepts, and how it refuses."""

import json

import pytest

from keras_asgld import data
from keras_asgld.cli import options
from keras_asgld.cli.command import main
from keras_asgld.runs import settings
from keras_asgld.runs.optimizers import OPTIMIZERS

GOOD = {
    "format": 1,
    "status": "finished",
    "settings": {"dataset": "digits", "model": "digits", "optimizer": "sgd", "seed": 0},
    "versions": {},
    "machine": {},
    "epochs": [
        {
            "epoch": 1,
            "learning_rate": 0.1,
            "train_loss": 1.0,
            "train_accuracy": 0.5,
            "test_loss": 1.0,
            "test_accuracy": 0.5,
            "seconds": 1.0,
            "step_seconds": None,
        }
    ],
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capsys):
    """Runs a command line that must fail with one line; returns the line."""

    def run(*arguments, status=2):
        assert main(list(arguments)) == status
        output, errors = capsys.readouterr()
        assert output == ""
        assert errors.startswith("keras-asgld: ") and errors.count("\n") == 1
        return errors

    return run


def test_help_names_the_optimizers_whose_decay_is_decoupled():
    for command in ("compare", "tune", "train"):
        text = " ".join(options.help_text(command).split())
        words = text.partition("auto: so but for ")[2].partition(" (auto|")[0]
        for name in OPTIMIZERS:
            mode = settings.make(
                "digits",
                name,
                seed=0,
                image_size=None,
                train_size=64,
                weight_decay=0.1,
                drop_factor=0.1,
                jit_compile="auto",
            ).weight_decay_mode
            assert (name in words.split(", ")) == (mode == "decoupled")


def put_record(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_text(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compere"], "no such command: compere"),
        (["--wat"], "no such command: --wat"),
        (["compare", "--epoch=3"], "Unknown command line flag 'epoch'"),
        (["compare", "--epochs=many"], "--epochs=many: must be an integer"),
        (["compare", "--monitor=5"], "--monitor=5: must be true or false"),
        (["compare", "--drop_factor=few"], "--drop_factor=few: must be a number"),
        (["compare", "--epochs=0"], "`epochs` must be at least 1"),
        (["compare", "--train_size=-5"], "`train_size` must be at least 1"),
        (["compare", "--dataset=mnist"], "--dataset=mnist"),
        (
            ["compare", "--optimizers=sgd,adamm"],
            "`optimizers` must be one of asgld, sgd",
        ),
        (["compare", "--optimizers="], "`optimizers` must"),
        (["compare", "--optimizers=sgd,sgd"], "Received: optimizers=sgd,sgd"),
        (["tune", "--train_size=4"], "`train_size` must be at least 5"),
        (["compare", "--seeds=0"], "`seeds` must be"),
        (["compare", "--seeds=1,1"], "`seeds` must be"),
        (["compare", "--seeds=a"], "`seeds` must be"),
        (["compare", "--learning_rate=fast"], "learning_rate=fast"),
        (["compare", "--learning_rate=nan"], "learning_rate=nan"),
        (
            ["compare", "--learning_rate=sgd=0.1"],
            "for scale-free-asgld, asgld, momentum, adam here",
        ),
        (["compare", "--optimizers=sgd", "--noise=1"], "taken by none of sgd"),
        (
            ["compare", "--temperature=1"],
            "`temperature` is taken by none of scale-free",
        ),
        (["train", "--optimizer=sgld", "--temperature=-1"], "`temperature` must be"),
        (["train", "--momentum=2"], "`momentum` must be in the range [0, 1)"),
        (["train", "--optimizer=adam", "--momentum=1"], "Received: momentum=1"),
        (["compare", "--drop_epochs=3,2"], "`drop_epochs` must be rising"),
        (
            ["compare", "--epochs=3", "--drop_epochs=1,3"],
            "below the number of epochs, 3",
        ),
        (["compare", "--drop_epochs=x"], "`drop_epochs` must be integers"),
        (["compare", "--weight_decay=-1"], "`weight_decay` must be"),
        (["compare", "stray"], "unexpected argument: stray"),
        (["train", "--optimizer=foo"], "--optimizer=foo"),
        (["train", "--seed=-1"], "`seed` must be"),
        (["train", "--data_dir=x"], "`data_dir` must come with --dataset=cifar10"),
        (["compare", "--data_dir=x"], "Received: data_dir=x"),
        (["plot", "nowhere", "--out=f.xyz"], "`out` must end in one of"),
        (["plot", "nowhere", "--out=figure"], "Received: out=figure"),
        (["plot"], "at least one folder"),
        (["plot", "nowhere"], "no such folder: nowhere"),
        (["plot", "."], "no records in ."),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(refused, arguments, words, tmp_path):
    assert words in refused(*arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(GOOD)[:-40], "remove this file and give again the very command"),
        ("", "no whole JSON"),
        ("[]", "not a JSON object"),
        (json.dumps({**GOOD, "format": 2}), "`format` must be 1"),
        (json.dumps({**GOOD, "status": "odd"}), "`status` must be one of"),
        (json.dumps({**GOOD, "epochs": [{"epoch": 1}]}), "`epochs[0].train_loss`"),
        (json.dumps({**GOOD, "epochs": [{"epoch": 2}]}), "`epochs[0]` is not epoch 1"),
        (json.dumps({**GOOD, "settings": {}}), "`settings.dataset`"),
    ],
)
def test_a_corrupt_record_is_named_and_left_alone(refused, tmp_path, text, words):
    place = tmp_path / "out" / "runs" / "asgld-seed0"
    put_record(place, text)
    good = tmp_path / "out" / "runs" / "momentum-seed0"
    put_record(good, json.dumps(GOOD))
    for arguments in (
        ["plot", "out"],
        ["compare", "--out_dir=out"],
        ["train", "--out_dir=out/runs/asgld-seed0"],
    ):
        line = refused(*arguments)
        assert words in line and "asgld-seed0/record.json" in line
    assert (place / "record.json").read_text() == text
    assert (good / "record.json").read_text() == json.dumps(GOOD)


@pytest.mark.parametrize("command", ["compare", "train"])
def test_an_output_folder_that_cannot_be_is_refused(refused, tmp_path, command):
    (tmp_path / "file").write_text("mine")
    assert "cannot write to the folder file" in refused(command, "--out_dir=file/x")
    assert "cannot write to the folder file" in refused(command, "--out_dir=file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_figure_that_cannot_be_written_is_refused(refused, tmp_path):
    put_record(tmp_path / "run", json.dumps(GOOD))
    assert "cannot write no/such.png" in refused("plot", "run", "--out=no/such.png")


def test_plot_draws_what_a_folder_holds(capsys, tmp_path):
    put_record(tmp_path / "run", json.dumps(GOOD))
    put_record(tmp_path / "other" / "runs" / "sgd-seed0", json.dumps(GOOD))
    assert main(["plot", "run", "other", "--out=both.png"]) == 0
    assert capsys.readouterr().out == "both.png\n"
    assert (tmp_path / "both.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "text",
    [
        None,
        "worker",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_workers_that_are_not_told_of_one_another_are_refused(
    refused, monkeypatch, tmp_path, text
):
    if text is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", text)
    line = refused("train", "--strategy=multiworker")
    assert "environment variable TF_CONFIG" in line
    assert f"TF_CONFIG={text or 'nothing'}" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--jit_compile=on", "`jit_compile` must be off or auto with"),
        ("--jit_compile=elementwise", "`jit_compile` must be off or auto with"),
        ("--model=hub/x", "multiworker does not fine-tune"),
        ("--dataset=cifar10-transfer", "multiworker does not fine-tune"),
    ],
)
def test_what_several_workers_do_not_do_is_refused(refused, flag, words):
    assert words in refused("train", "--strategy=multiworker", flag)


def test_missing_data_is_one_line(refused, monkeypatch):
    def load(*_, **__):
        raise data.DataError("no data\nand no network")

    monkeypatch.setattr(data, "load", load)
    line = refused("train", "--dataset=cifar10", "--data_dir=x")
    assert "no data and no network" in line


def test_a_choice_that_does_not_fit_the_data_is_one_line(refused):
    assert "train_size=99999" in refused("train", "--train_size=99999")


@pytest.mark.parametrize("command", ["train", "compare", "tune"])
def test_an_unknown_model_is_one_line_and_leaves_no_folder(refused, tmp_path, command):
    folder = tmp_path / "results"
    line = refused(command, "--model=resnet33", f"--out_dir={folder}")
    assert "`model` must be one of" in line and "model='resnet33'" in line
    assert not folder.exists()


def test_ctrl_c_is_one_line_and_status_130(refused, monkeypatch):
    def load(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "load", load)
    assert "interrupted" in refused("train", status=130)


@pytest.mark.parametrize("command", options.GROUPS)
def test_help_lists_every_flag_and_no_other(capsys, command):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    for group in options.GROUPS[command].values():
        for name in group:
            assert f"--{name}" in text
    assert "logtostderr" not in text and len(text.splitlines()) < 50


def test_help_and_version(capsys):
    assert main([]) == 0
    assert "compare" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("keras-asgld ")


def test_overrides_are_for_all_or_by_name():
    optimizers = ["asgld", "sgd", "adam"]
    assert options.overrides("momentum", "0.5", optimizers) == {
        "asgld": 0.5,
        "adam": 0.5,
    }
    assert options.overrides("learning_rate", "sgd=1,adam=2e-3", optimizers) == {
        "sgd": 1.0,
        "adam": 0.002,
    }


def test_seeds_are_a_count_or_a_list():
    assert options.seeds("3") == [0, 1, 2]
    assert options.seeds("4,2") == [4, 2]
    assert options.seeds("7,") == [7]
