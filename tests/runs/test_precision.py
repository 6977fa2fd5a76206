"""`--mixed_precision=auto`: bfloat16 where the processor computes in it."""

import pytest

from keras_asgld.cli import options
from keras_asgld.runs import environment, stages

FLAGS = "flags\t\t: fpu sse avx2 avx512f{}\n"


@pytest.mark.parametrize(
    "text, there",
    [
        (FLAGS.format(" avx512_bf16 wbnoinvd"), True),
        (FLAGS.format(" amx_bf16 amx_tile"), True),
        (FLAGS.format(""), False),
        (FLAGS.format(" avx512_bf16x not_amx_bf16"), False),
        ("model name\t: avx512_bf16\n" + FLAGS.format(""), False),
        ("", False),
    ],
)
def test_it_is_chosen_by_the_processors_flags(tmp_path, monkeypatch, text, there):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\n" + text)
    assert environment.has_bfloat16(path) is there
    monkeypatch.setattr(environment, "has_bfloat16", lambda: there)
    chosen = stages.choose({"mixed_precision": "auto"}, "cnn", 1, 0.1)
    assert chosen == {"mixed_precision": "bfloat16" if there else None}


def test_elsewhere_there_is_no_such_file(tmp_path):
    assert environment.has_bfloat16(tmp_path / "cpuinfo") is False


def test_what_is_not_auto_is_taken_as_it_is(monkeypatch):
    monkeypatch.setattr(environment, "has_bfloat16", lambda: True)
    for given, taken in {"off": None, "float16": "float16"}.items():
        chosen = stages.choose({"mixed_precision": given}, "cnn", 1, 0.1)
        assert chosen == {"mixed_precision": taken}
    values, _ = options.parse("train", [])
    assert values["mixed_precision"] == "off"
