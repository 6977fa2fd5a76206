import importlib
import sys

import numpy as np
import pytest
from keras.ops import convert_to_numpy
from sklearn.datasets import load_digits

import keras_asgld
from keras_asgld import data


def test_digits_are_split_once_and_for_all_without_overlap():
    digits = data.load("digits", seed=1)
    assert (digits.train_size, digits.test_size, digits.validation_size) == (
        1437,
        360,
        0,
    )
    assert (digits.input_shape, digits.num_classes) == ((8, 8, 1), 10)
    pictures = np.concatenate(
        [digits.train_examples.inputs, digits.test_examples.inputs]
    )
    labels = np.concatenate([digits.train_examples.labels, digits.test_examples.labels])
    published = load_digits()

    def rows(pictures, labels):
        flat = pictures.reshape(1797, 64).astype(int)
        return sorted(map(tuple, np.column_stack([labels, flat])))

    assert rows(pictures, labels) == rows(published.images, published.target)
    other = data.load("digits", seed=2)
    np.testing.assert_array_equal(
        digits.test_examples.inputs, other.test_examples.inputs
    )


def test_digits_classes_keep_their_share_in_the_test_part():
    digits = data.load("digits")
    train = np.bincount(digits.train_examples.labels)
    test = np.bincount(digits.test_examples.labels)
    assert np.abs(test - (train + test) * 360 / 1797).max() <= 1.5


def test_digits_are_scaled_to_one_and_never_cropped():
    digits = data.load("digits", batch_size=1437, augment=True)
    pictures = convert_to_numpy(next(iter(digits.train()))[0])
    assert (pictures.min(), pictures.max()) == (0.0, 1.0)
    stored = digits.train_examples.inputs / np.float32(16)
    assert {p.tobytes() for p in pictures} == {p.tobytes() for p in stored}


def test_digits_need_neither_tfds_nor_a_directory(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # its import fails
    monkeypatch.setattr(keras_asgld, "data", data)  # put back afterwards
    for name in [name for name in sys.modules if name.startswith("keras_asgld.data")]:
        monkeypatch.delitem(sys.modules, name)
    fresh = importlib.import_module("keras_asgld.data")
    assert fresh is not data
    assert fresh.load("digits", data_dir="/nowhere").test_size == 360


def test_missing_scikit_learn_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(data.DataError, match="pip install scikit-learn"):
        data.load("digits")


@pytest.mark.parametrize(
    "name, value",
    [
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("seed", -1),
        ("seed", None),
        ("seed", 2**63),
        ("image_size", 0),
        ("train_size", 0),
        ("train_size", 1438),
        ("validation_size", -1),
        ("validation_size", 1437),
        ("augment", "no"),
    ],
)
def test_arguments_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` .* Received: {name}="):
        data.load("digits", **{name: value})


def test_only_what_may_be_mirrored_alternates():
    with pytest.raises(ValueError, match="`augment` must be True or False for digits"):
        data.load("digits", augment="alternating")


def test_train_size_must_leave_room_for_validation():
    data.load("digits", train_size=1400, validation_size=37)
    with pytest.raises(ValueError, match="at most 1400"):
        data.load("digits", train_size=1401, validation_size=37)


def test_unknown_data_set_is_answered_with_the_choices():
    with pytest.raises(
        ValueError,
        match="cifar10, cifar10-transfer, diabetes, .*verses, surnames, "
        "imdb_reviews, ag_news_subset, spoken_digit. "
        "Received: name='mnist'",
    ):
        data.load("mnist")
