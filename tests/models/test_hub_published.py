"""Modules from outside: a published one, and one behind an address."""

import contextlib
import functools
import http.server
import importlib.util
import os
import pathlib
import subprocess
import sys
import tarfile
import threading

import keras
import numpy as np
import pytest

import keras_asgld
from keras_asgld.models import HubLayer

if keras.backend.backend() != "tensorflow":
    pytest.skip("SavedModels are TensorFlow's", allow_module_level=True)
from tests.support.modules import write_reusable


def basic_pitch():
    """Its SavedModel's folder; the package itself need not be importable."""
    found = importlib.util.find_spec("basic_pitch")
    if found is None:
        pytest.skip("needs pip install --no-deps basic-pitch==0.4.0")
    folder = pathlib.Path(found.submodule_search_locations[0])
    return folder / "saved_models" / "icassp_2022" / "nmp"


def test_a_published_music_transcriber_is_fine_tuned():
    layer = HubLayer(basic_pitch(), trainable=True)
    assert len(layer.trainable_variables) == 18
    assert len(layer.non_trainable_variables) == 6
    inputs = keras.Input((43844, 1))
    outputs = layer(inputs)
    assert {name: out.shape[-1] for name, out in outputs.items()} == {
        "note": 88,
        "onset": 88,
        "contour": 264,
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        keras_asgld.ASGLD(1e-3, seed=0), dict.fromkeys(outputs, "binary_crossentropy")
    )
    audio = np.random.RandomState(0).normal(size=(2, 43844, 1)).astype("float32")
    silence = {name: np.zeros(out.shape) for name, out in model(audio).items()}
    before = layer.get_weights()
    first = model.evaluate(audio, silence, verbose=0, return_dict=True)["loss"]
    model.fit(audio, silence, epochs=2, verbose=0)
    last = model.evaluate(audio, silence, verbose=0, return_dict=True)["loss"]
    assert last < first
    after = layer.get_weights()
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@contextlib.contextmanager
def served(folder):
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(folder)
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


PROGRAM = """
import sys, numpy as np
from keras_asgld.models import HubLayer
x = np.ones((2, 6), "float32")
np.testing.assert_array_equal(HubLayer(sys.argv[1])(x), HubLayer(sys.argv[2])(x))
try:
    HubLayer(sys.argv[1] + "x")
except ValueError as error:
    print(error)
"""


def test_an_archive_is_fetched_from_its_address(tmp_path):
    pytest.importorskip(
        "tensorflow_hub",
        reason="needs pip install '.[hub]'",
        exc_type=ImportError,
    )
    write_reusable(tmp_path / "module")
    with tarfile.open(tmp_path / "module.tar.gz", "w:gz") as archive:
        for path in (tmp_path / "module").iterdir():
            archive.add(path, arcname=path.name)
    # In a process of its own, since tensorflow_hub brings Keras 2.
    with served(tmp_path) as address:
        result = subprocess.run(
            [
                sys.executable,
                "-c",
                PROGRAM,
                f"{address}/module.tar.gz",
                str(tmp_path / "module"),
            ],
            env={**os.environ, "TFHUB_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
        )
    assert result.returncode == 0, result.stderr
    assert "`handle` cannot be fetched" in result.stdout
    assert list((tmp_path / "cache").iterdir())


def test_an_address_without_tensorflow_hub_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    with pytest.raises(ImportError, match="tensorflow-hub.* Received: handle="):
        HubLayer("https://example.org/module.tar.gz")
