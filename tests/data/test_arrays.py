"""Batches from arrays on the device: those of the tf.data pipeline."""

import itertools

import keras
import numpy as np
import pytest

from keras_asgld.data import arrays
from tests.support import processes, streamed


@pytest.fixture(scope="module")
def tf_data(tmp_path_factory):
    """The batches of `streamed`, made with the TensorFlow backend."""
    pytest.importorskip("tensorflow")
    path = tmp_path_factory.mktemp("streamed") / "batches.npz"
    if keras.backend.backend() == "tensorflow":
        streamed.write(path)
    else:
        on_tensorflow = {"KERAS_BACKEND": "tensorflow"}
        processes.finish(processes.start("streamed", path, environment=on_tensorflow))
    return np.load(path)


@pytest.mark.parametrize("kind", streamed.KINDS)
@pytest.mark.parametrize("part", ["train", "test"])
def test_batches_are_those_of_the_tf_data_pipeline(tf_data, part, kind):
    data = streamed.make(*kind)
    if part == "train":
        count = streamed.EPOCHS * data.steps_per_epoch
        batches = itertools.islice(arrays.training(data, 0), count)
    else:
        count, batches = 2, arrays.once(data, data.test_examples)
    batches = list(batches)
    assert len(batches) == count
    for i, batch in enumerate(batches):
        pictures, labels = map(keras.ops.convert_to_numpy, batch)
        expected = tf_data[f"{kind} {part} {i} x"]
        assert (pictures.dtype, labels.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(labels, tf_data[f"{kind} {part} {i} y"])
        # A compiler may divide by multiplying, and order an interpolation its way.
        rounding = 8 * np.finfo(np.float32).eps * np.abs(expected).max()
        np.testing.assert_allclose(pictures, expected, rtol=0, atol=rounding)


def test_any_batch_can_be_had_without_those_before_it():
    data = streamed.make()
    steps = data.steps_per_epoch
    whole = list(itertools.islice(arrays.training(data, 0), 3 * steps))
    for first, index in [(0, 2 * steps + 3), (2, 3), (1, steps + 3)]:
        batch = arrays.training(data, first)[index]
        for one, other in zip(batch, whole[2 * steps + 3], strict=True):
            np.testing.assert_array_equal(
                *map(keras.ops.convert_to_numpy, (one, other))
            )


def test_the_backend_chooses_who_makes_the_batches():
    data = streamed.make()
    on_tensorflow = keras.backend.backend() == "tensorflow"
    for pipeline in (data.train(), data.test()):
        assert isinstance(pipeline, keras.utils.PyDataset) != on_tensorflow
