"""Command lines that nobody should give: one line each, and nothing left behind."""

import json
import os
import subprocess
import sys

import pytest

from keras_asgld.cli import options
from keras_asgld.cli.command import main
from keras_asgld.runs import record_contents
from keras_asgld.runs.record_contents import CALIBRATION
from tests.support.processes import ROOT


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs a command line that must fail with one short line; returns the line."""

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        assert main(list(arguments)) == 2
        output, errors = capsys.readouterr()
        assert output == ""
        assert errors.startswith("keras-asgld: ") and errors.count("\n") == 1
        assert len(errors) < 1000
        assert sorted(tmp_path.rglob("*")) == before
        return errors

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--learning_rate=1e39"], "`learning_rate` must be 0, or a number"),
        (["train", "--learning_rate=1e-39"], "Received: learning_rate=1e-39"),
        (["train", "--weight_decay=1e39"], "`weight_decay` must be 0, or a number"),
        (["train", "--drop_factor=1e39"], "`drop_factor` must be 0, or a number"),
        (["train", "--momentum=0.99999999"], "below 1 in float32 too"),
        (["tune", "--learning_rate=1e37"], "all rates to try"),
        (["tune", "--learning_rate=0"], "`learning_rate` must be positive"),
        (["train", f"--epochs={'9' * 23}"], "`epochs` must be at most 2147483647"),
        (["train", f"--epochs={'9' * 5000}"], "epochs"),
        (["train", f"--batch_size={'9' * 23}"], "`batch_size` must be at most"),
        (["train", "--image_size=100000"], "`image_size` must be at most 4096"),
        (["compare", "--seeds=1000000000"], "of 1 to 10000 seeds"),
        (["compare", "--seeds=-1,2"], "`seeds` must be integers in [0, 2**32)"),
        (["compare", "--seeds=4294967296,"], "Received: seeds=4294967296,"),
        (["train", "--model=applications/MobileNetV2:weights=1"], "model="),
        (["train", "--model=hub/"], "`model` must be"),
        (["train", "--model=resnet33"], "Received: model="),
        (["plot", "x" * 300], "File name too long"),
        (["plot", "x" * 20_000], "characters) File name too long"),
        (["plot", "\0"], "no such folder"),
        (["compare", "--nomonitor=3"], "monitor"),
        (["compare", "--flagfile=/bin/ls"], "Unknown command line flag 'flagfile'"),
        (["compare", "--undefok=epoch", "--epoch=3"], "flag 'undefok'"),
        (["compare", "--" + "a" * 20_000], "Unknown command line flag 'aaa"),
        (["compare", "--learning_rate==1"], "a number, or NAME=NUMBER"),
        (["compare", "--learning_rate=adam=1,"], "a number, or NAME=NUMBER"),
        (
            ["compare", "--optimizers=sgd", "--learning_rate=sgd=1,sgd=2"],
            "given once for each optimizer",
        ),
        (["train", "--worker_timeout=0"], "`worker_timeout` must be at least 1"),
        (["train", "--worker_timeout=9"], "left out without --strategy=multiworker"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[:40],
)
def test_a_wrong_flag_is_one_line_and_leaves_no_folder(refused, arguments, words):
    assert words in refused(*arguments)


TEXTS = [
    (command, name)
    for command, groups in options.GROUPS.items()
    for group in groups.values()
    for name, (kind, _, _) in group.items()
    if kind in (str, list)
]


@pytest.mark.parametrize(("command", "name"), TEXTS)
def test_an_empty_value_is_not_taken_for_the_default(refused, command, name):
    words = f"`{name}` must be given a value, or left out. Received: {name}="
    line = refused(command, f"--{name}=")
    assert line == f"keras-asgld: {words}\n"


@pytest.mark.parametrize("command", ["train", "compare", "tune"])
def test_a_refusal_leaves_no_new_folder_and_no_file_in_an_old_one(
    refused, command, tmp_path
):
    assert "_size=" in refused(command, "--train_size=99999", "--out_dir=a/b/c")
    (tmp_path / "a").mkdir()
    assert "_size=" in refused(command, "--train_size=99999", "--out_dir=a")
    assert (tmp_path / "a").is_dir()


@pytest.fixture
def started():
    """Starts `keras-asgld` with its output where it is told; waits for its end."""

    def start(*arguments, **streams):
        return subprocess.run(
            [sys.executable, "-m", "keras_asgld_command", *arguments],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
            **streams,
        )

    return start


def test_help_into_a_pipe_that_is_closed_is_quiet(started):
    reading, writing = os.pipe()
    os.close(reading)
    done = started("compare", "--help", stdout=writing)
    os.close(writing)
    assert done.returncode == 141 and done.stderr == b""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_help_onto_a_full_disk_is_one_line(started):
    with open("/dev/full", "w") as full:
        done = started("compare", "--help", stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"keras-asgld: standard output: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_help_is_printed_in_any_encoding(started, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = started("compare", "--help", stdout=subprocess.PIPE, env=environment)
    assert done.returncode == 0 and done.stderr.strip(b"\xff\xfe") == b""
    assert "--learning_rate" in done.stdout.decode(encoding)


def record(**changes):
    settings = {"dataset": "digits", "model": "digits", "optimizer": "sgd", "seed": 0}
    numbers = ("learning_rate", "train_loss", "train_accuracy", "test_loss")
    epoch = dict.fromkeys((*numbers, "test_accuracy", "seconds", "step_seconds"), 0.5)
    epoch |= {"epoch": 1, **changes.pop("epoch", {})}
    good = {
        "format": 1,
        "status": "finished",
        "settings": settings | changes.pop("settings", {}),
        "versions": {},
        "machine": {},
        "epochs": [epoch],
    }
    return good | changes


def put(folder, text):
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 200_000, "nested too deeply"),
        (json.dumps(record()).replace("0.5", "1" + "0" * 400), "no number"),
        (json.dumps(record()).replace("0.5", "1e400"), "no number"),
        (json.dumps(record(settings={"seed": []})), "`settings.seed`"),
        (json.dumps(record(epoch={"test_accuracy": None})), "test_accuracy` is null"),
        (json.dumps(record(epoch={"test_accuracy": -5})), "is not in [0, 1]"),
        (json.dumps(record(epoch={"test_accuracy": 1e308})), "test_accuracy`"),
        (json.dumps(record(epoch={"test_accuracy": True})), "no number"),
        (json.dumps(record(epoch={"seconds": -1})), "seconds` is negative"),
        (json.dumps(record(epoch={"noise": {"temperature": "a"}})), "temperature`"),
        (json.dumps(record(epoch={"noise": {"noise_norm": -1}})), "not in [0, inf]"),
        (json.dumps(record(epoch={"noise": {"mean_share": 3}})), "not in [0, 1]"),
        (json.dumps(record(settings={"fine_tuning": 0.5})), "fine_tuning`"),
        (json.dumps(record(settings={"fine_tuning": [1]})), "fine_tuning`"),
        (json.dumps(record(epochs={})), "`epochs`"),
        (json.dumps(record(epochs=[])), "finished with no epochs"),
        (json.dumps(record() | {"settings": []}), "`settings`"),
        (json.dumps(record(calibration=[1])), "`calibration"),
        ("\ud800".encode(errors="surrogatepass").decode("latin-1"), "no whole JSON"),
    ],
    ids=range(19),
)
def test_a_damaged_record_is_one_line(refused, tmp_path, text, words):
    put(tmp_path / "run", text)
    line = refused("plot", "run")
    assert words in line and "run/record.json" in line


def calibration(**changes):
    diagram = {"confidence": [0.5], "accuracy": [1.0], "count": [4]}
    diagram |= changes.pop("reliability", {})
    one = dict.fromkeys(CALIBRATION, 0.5) | {"reliability": diagram} | changes
    return {"last": one, "ensemble": one | {"members": 1}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"accuracy": -5}, "last.accuracy` is not in [0, 1]"),
        ({"brier_score": 1e29}, "last.brier_score` is not in [0, 2]"),
        ({"expected_calibration_error": 4e9}, "error` is not in [0, 1]"),
        ({"negative_log_likelihood": -1}, "likelihood` is not in [0, inf]"),
        ({"scrambled_entropy": -1}, "entropy` is not in [0, inf]"),
        ({"reliability": {"confidence": [1e29]}}, "reliability`"),
        ({"reliability": {"accuracy": [-1]}}, "reliability`"),
        ({"reliability": {"count": [0]}}, "reliability`"),
        ({"reliability": {"count": [None]}}, "reliability`"),
    ],
    ids=str,
)
def test_calibration_out_of_its_range_is_one_line(refused, tmp_path, change, words):
    assert record_contents.fault(record(calibration=calibration())) is None
    put(tmp_path / "run", json.dumps(record(calibration=calibration(**change))))
    assert words in refused("plot", "run")


def test_an_ensemble_whose_numbers_are_lost_is_one_line(refused, tmp_path):
    asked = {"settings": {"ensemble": 2}}
    put(tmp_path / "run", json.dumps(record(**asked)))
    assert "`calibration` is missing" in refused("plot", "run")
    put(tmp_path / "short", json.dumps(record(**asked, calibration=calibration())))
    assert "`calibration.ensemble.members` is not 2" in refused("plot", "short")


@pytest.mark.parametrize("name", ["a$b$c", "x_{", "\udcff", "$" * 200, "é" * 100])
def test_folders_of_any_name_are_drawn(tmp_path, capsys, name):
    put(tmp_path / name, json.dumps(record()))
    put(tmp_path / "other", json.dumps(record()))
    put(tmp_path / "deep" / "other", json.dumps(record()))
    folders = [name, "other", "deep/other"]
    assert main(["plot", *folders, "--out=figure.png"]) == 0
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["optimizer", "model", "dataset"])
def test_records_whose_names_are_no_text_are_drawn(tmp_path, capsys, name):
    for i, value in enumerate(("$\\frac$", "\ud800", "o" * 200, "a\nb\0")):
        put(tmp_path / str(i), json.dumps(record(settings={name: value})))
        assert main(["plot", str(i), "--out=figure.png"]) == 0


@pytest.mark.parametrize("name", ["optimizer", "dataset"])
def test_records_whose_names_are_longer_than_a_page_are_refused(
    refused, tmp_path, name
):
    put(tmp_path / "run", json.dumps(record(settings={name: "o" * 20_000})))
    assert f"`settings.{name}` is longer than 200" in refused("plot", "run")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "/dev/null", "."])
def test_published_curves_under_any_name_are_one_line(refused, tmp_path, name):
    put(tmp_path / "run", json.dumps(record()))
    refused("plot", "run", f"--reference={name}")


def test_one_folder_given_twice_is_refused(refused, tmp_path):
    put(tmp_path / "run", json.dumps(record()))
    assert "each folder once" in refused("plot", "run", "run", "run", "run")


TASK = '{"type": "worker", "index": 0}'


@pytest.mark.parametrize(
    "task",
    [
        '{"type": "worker", "index": 1e999}',
        '{"type": "worker", "index": 0.7}',
        '{"type": "worker", "index": true}',
        '{"type": "worker", "index": "first"}',
        '{"type": ["worker"], "index": 0}',
        "[" * 100_000,
        "{}",
    ],
)
def test_a_task_that_is_no_worker_is_refused(refused, monkeypatch, task):
    text = f'{{"cluster": {{"worker": ["a:1", "b:2"]}}, "task": {task}}}'
    monkeypatch.setenv("TF_CONFIG", text)
    assert "environment variable TF_CONFIG" in refused(
        "train", "--strategy=multiworker"
    )


@pytest.mark.parametrize("workers", ['["a:b"]', "[7]", '{"a": 1}', '["a:70000"]'])
def test_addresses_that_are_none_are_refused(refused, monkeypatch, workers):
    text = f'{{"cluster": {{"worker": {workers}}}, "task": {TASK}}}'
    monkeypatch.setenv("TF_CONFIG", text)
    assert "environment variable TF_CONFIG" in refused(
        "train", "--strategy=multiworker"
    )
