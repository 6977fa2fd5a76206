"""The loss whose labels leave a share to the other classes."""

import keras
import numpy as np
import pytest

from keras_asgld.runs.files import ExperimentError
from keras_asgld.runs.smoothing import SmoothedCrossentropy


def batch():
    rng = np.random.default_rng(0)
    return rng.integers(5, size=20).astype("int32"), 3 * rng.normal(size=(20, 5))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_it_is_that_of_keras_for_one_hot_labels(share):
    labels, logits = batch()
    logits = logits.astype("float32")
    theirs = keras.losses.CategoricalCrossentropy(True, share)
    expected = float(theirs(np.eye(5)[labels], logits))
    found = float(SmoothedCrossentropy(share)(labels, logits))
    assert found == pytest.approx(expected, rel=1e-5)
    column = float(SmoothedCrossentropy(share)(labels[:, None], logits))
    assert column == pytest.approx(found)


def test_it_is_the_written_out_sum():
    labels, logits = batch()
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = 0.8 * np.eye(5)[labels] + 0.2 / 5
    expected = -(targets * np.log(chances)).sum(1).mean()
    found = SmoothedCrossentropy(0.2)(labels, logits.astype("float32"))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_run_is_trained_with_it(make_settings):
    from keras_asgld import data
    from keras_asgld.runs import building

    digits = data.load("digits", batch_size=64, train_size=160)
    model = building.build(make_settings(label_smoothing=0.2), digits, False)
    assert isinstance(model.loss, SmoothedCrossentropy) and model.loss.share == 0.2
    plain = building.build(make_settings(), digits, False)
    assert isinstance(plain.loss, keras.losses.SparseCategoricalCrossentropy)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_is_below_one(make_settings, share):
    with pytest.raises(
        ExperimentError, match=r"`label_smoothing` must be in the range \[0, 1\). Rec"
    ):
        make_settings(label_smoothing=share)


def test_numbers_have_no_classes_to_share_with(make_settings):
    with pytest.raises(ExperimentError, match="must be 0 with --dataset=diabetes, whi"):
        make_settings(dataset="diabetes", label_smoothing=0.2)
