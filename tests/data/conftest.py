import functools
import io

import numpy as np
import pytest

from tests.support.prepared import WRITERS

NAMES = [f"class{i}" for i in range(10)]


def write_binaries(folder, train_per_batch=40, test=50):
    """A small CIFAR-10 in the data set's own binary form; returns {split: rows}.

    A row is the label and then the red, green and blue planes.
    """
    folder.mkdir(parents=True)
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n")
    random = np.random.RandomState(0)

    def write(name, count):
        labels = random.permutation(np.arange(count) % 10)[:, None]
        pixels = random.randint(0, 256, (count, 3072))
        rows = np.concatenate([labels, pixels], axis=1).astype(np.uint8)
        rows.tofile(folder / f"{name}.bin")
        return rows

    train = [write(f"data_batch_{i}", train_per_batch) for i in range(1, 6)]
    return {"train": np.concatenate(train), "test": write("test_batch", test)}


@pytest.fixture(scope="session")
def binaries(tmp_path_factory):
    """(Folder that stands for the unpacked download, {split: rows})."""
    folder = tmp_path_factory.mktemp("download")
    return folder, write_binaries(folder / "cifar-10-batches-bin")


@pytest.fixture
def served(binaries, monkeypatch):
    """The host answers and its archive holds `binaries`."""
    import requests
    import tensorflow_datasets as tfds

    def answer(url, **_):
        response = requests.Response()
        response.status_code = 200
        response.raw = io.BytesIO()
        return response

    monkeypatch.setattr(requests, "get", answer)
    monkeypatch.setattr(
        tfds.download.DownloadManager,
        "download_and_extract",
        lambda self, url: str(binaries[0]),
    )


@pytest.fixture(scope="session")
def prepared(binaries, tmp_path_factory):
    """A data directory that TFDS's own builder has written, with 200 + 50 pictures."""
    import tensorflow_datasets as tfds

    folder = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            tfds.download.DownloadManager,
            "download_and_extract",
            lambda self, url: str(binaries[0]),
        )
        tfds.builder("cifar10", data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(scope="session")
def made_up(tmp_path_factory):
    """A data directory, by name, that TFDS has written of made-up texts or tones."""

    @functools.cache
    def folder(name):
        written = tmp_path_factory.mktemp(name)
        WRITERS[name](written, tmp_path_factory.mktemp("download"))
        return written

    return folder
