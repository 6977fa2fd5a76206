"""`--jit_compile=elementwise`: XLA for what lies between convolutions and products."""

import json
import os
import subprocess
import sys

import keras
import pytest

from keras_asgld.cli.command import main
from keras_asgld.runs import building, environment, records
from keras_asgld.runs.files import ExperimentError
from tests.support import processes

tensorflow_alone = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's clusters"
)


def fused_alone(test):
    """Of those that wait for the runs, which compile for half a minute."""
    return pytest.mark.slow(tensorflow_alone(test))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    program = processes.start("fused", tmp_path_factory.mktemp("fused"))
    return json.loads(processes.finish(program).splitlines()[-1])


@fused_alone
def test_xla_takes_all_but_convolutions_and_products(runs):
    fused, plain = (set(runs[name][1]) for name in ("fused", "plain"))
    assert {"_XlaRun", "_XlaCompile"} <= fused
    convolutions = {name for name in fused if "Conv2D" in name}
    assert len(convolutions) == 3 and convolutions <= plain
    assert {"Erfc", "Exp", "Rsqrt"} <= plain - fused


@fused_alone
def test_a_run_with_another_setting_in_the_same_process_is_not_fused(runs):
    assert not {name for name in runs["plain"][1] if "Xla" in name}


@fused_alone
def test_only_rounding_differs(runs):
    fused, plain = (runs[name][0]["epochs"] for name in ("fused", "plain"))
    for one, other in zip(fused, plain, strict=True):
        for name in ("train_loss", "test_loss"):
            assert one[name] == pytest.approx(other[name], rel=1e-4)
    weights = [runs[name][0]["weights_sha256"] for name in ("fused", "plain")]
    assert weights[0] != weights[1]  # or nothing was fused that training uses


@fused_alone
def test_interrupted_and_resumed_equals_uninterrupted(runs, without_timings):
    whole, resumed = (without_timings(runs[name][0]) for name in ("fused", "resumed"))
    assert len(whole["epochs"]) == 3 and whole == resumed


@tensorflow_alone
def test_it_is_refused_where_tensorflow_was_not_started_for_it(
    make_settings, monkeypatch
):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    refused = building.fused(make_settings(jit_compile="elementwise"))
    with pytest.raises(ExperimentError, match="jit_compile=elementwise"), refused:
        pytest.fail("not refused")
    with building.fused(make_settings(jit_compile="off")):
        pass


@tensorflow_alone
def test_what_the_process_had_before_is_restored(make_settings, monkeypatch):
    import tensorflow as tf

    monkeypatch.setenv("TF_XLA_FLAGS", "")
    asked = []
    monkeypatch.setattr(tf.config.optimizer, "get_jit", lambda: "autoclustering")
    monkeypatch.setattr(tf.config.optimizer, "set_jit", asked.append)
    environment.allow_fusion()
    for jit_compile in ("elementwise", "off"):
        with building.fused(make_settings(jit_compile=jit_compile)):
            assert asked.pop() == (jit_compile == "elementwise")
        assert asked.pop() is True


def test_the_users_own_flags_are_kept(monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_max_cluster_size=9")
    assert not environment.fusion_is_allowed()
    for _ in range(2):
        environment.allow_fusion()
        assert environment.fusion_is_allowed()

    flags = os.environ["TF_XLA_FLAGS"].split()
    assert flags[0] == "--tf_xla_max_cluster_size=9" and len(flags) == 4


@fused_alone
def test_the_command_starts_tensorflow_for_it(runs, tmp_path):
    flags = {
        "dataset": "digits",
        "model": "airbench-tiny",
        "optimizer": "nesterov",
        "epochs": 3,
        "batch_size": 64,
        "train_size": 160,
        "weight_decay": 0,
        "jit_compile": "elementwise",
        "out_dir": tmp_path,
    }
    command = [sys.executable, "-m", "keras_asgld", "train"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    found = records.read(tmp_path)
    assert found["weights_sha256"] == runs["fused"][0]["weights_sha256"]


def test_the_command_leaves_tensorflow_as_it_is_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "allow_fusion", lambda: pytest.fail("called"))
    command = ["train", "--train_size=64", "--epochs=1", f"--out_dir={tmp_path}/run"]
    assert main(command) == 0


def test_where_the_whole_step_is_compiled_it_is_as_auto(make_settings, monkeypatch):
    chosen = make_settings(jit_compile="elementwise")
    for backend, device in (
        ("jax", "cpu:0"),
        ("torch", "cpu:0"),
        ("tensorflow", "gpu:0"),
    ):
        monkeypatch.setattr(keras.backend, "backend", lambda name=backend: name)
        monkeypatch.setattr(environment, "devices", lambda name=device: [name])
        as_auto = building.is_compiled(make_settings(jit_compile="auto"))
        assert building.is_compiled(chosen) == as_auto == (backend != "torch")
