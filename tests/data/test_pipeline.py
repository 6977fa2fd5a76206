import dataclasses
import itertools

import keras
import numpy as np
import pytest

from keras_asgld.data.pipeline import Data
from keras_asgld.data.preprocessing import Preprocessing
from keras_asgld.data.source import Examples


def make(seed=0, count=50, batch_size=16, alternating=False):
    """A data set whose labels number its examples."""
    pictures = np.random.RandomState(1).randint(1, 256, (count, 8, 8, 3))
    examples = Examples(pictures.astype(np.uint8), np.arange(count, dtype=np.int32))
    return Data(
        name="numbered",
        num_classes=count,
        batch_size=batch_size,
        seed=seed,
        preprocessing=Preprocessing(
            255.0, (0.5,) * 3, (0.25,) * 3, 8, 2, True, alternating, alternating
        ),
        train_examples=examples,
        validation_examples=examples.take(slice(0, 0)),
        test_examples=examples.take(slice(0, 21)),
    )


def batches(pipeline, count=None):
    return [
        tuple(map(keras.ops.convert_to_numpy, batch))
        for batch in itertools.islice(pipeline, count)
    ]


def assert_equal(one, other):
    for (x, y), (u, v) in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


def order(data, epoch):
    steps = data.steps_per_epoch
    return np.concatenate([y for _, y in batches(data.train(epoch), steps)])


@pytest.mark.parametrize("alternating", [False, True])
def test_resumed_training_sees_the_batches_of_an_uninterrupted_run(alternating):
    data = make(alternating=alternating)
    whole = batches(data.train(), 4 * data.steps_per_epoch)
    for epoch in (1, 3):
        resumed = whole[epoch * data.steps_per_epoch :]
        assert_equal(batches(data.train(epoch), len(resumed)), resumed)


def test_same_seed_gives_the_same_batches_and_another_seed_others():
    assert_equal(batches(make(7).train(), 8), batches(make(7).train(), 8))
    again = dataclasses.replace(make(8), seed=7)
    assert_equal(batches(make(7).train(), 8), batches(again.train(), 8))
    assert not np.array_equal(order(make(7), 0), order(make(8), 0))


def test_epochs_differ_in_order_and_in_augmentation():
    data = make()
    assert not np.array_equal(order(data, 0), order(data, 1))
    first, second = (
        {
            y: x
            for xs, ys in batches(data.train(e), 4)
            for x, y in zip(xs, ys, strict=True)
        }
        for e in (0, 1)
    )
    same = sum(np.array_equal(first[y], second[y]) for y in first)
    assert same < 10  # by chance one in 50


def test_every_example_comes_once_an_epoch():
    data = make()
    for epoch in (0, 5):
        np.testing.assert_array_equal(np.sort(order(data, epoch)), np.arange(50))


def test_last_batch_of_an_epoch_holds_the_rest():
    data = make()
    assert data.steps_per_epoch == 4
    sizes = [len(y) for _, y in batches(data.train(), 8)]
    assert sizes == [16, 16, 16, 2] * 2


def test_batch_size_changes_neither_order_nor_augmentation():
    def epoch(batch_size):
        data = make(batch_size=batch_size)
        parts = batches(data.train(2), data.steps_per_epoch)
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    assert_equal([epoch(16)], [epoch(50)])


def test_test_pictures_come_in_order_and_untouched():
    data = make()
    x, y = (np.concatenate(part) for part in zip(*batches(data.test()), strict=True))
    np.testing.assert_array_equal(y, np.arange(21))
    expected = (data.test_examples.inputs / 255.0 - 0.5) / 0.25
    np.testing.assert_allclose(x, expected, atol=1e-6)
    assert_equal(batches(data.test()), batches(data.test()))


def test_validation_is_none_without_examples():
    data = make()
    assert data.validation() is None
    some = dataclasses.replace(data, validation_examples=data.test_examples)
    assert_equal(batches(some.validation()), batches(some.test()))


@pytest.mark.parametrize("epoch", [-1, 1.0, True])
def test_initial_epoch_is_checked(epoch):
    with pytest.raises(ValueError, match=r"`initial_epoch` .* Received: initial_epoch"):
        make().train(epoch)


def test_fit_resumed_at_an_epoch_ends_where_an_uninterrupted_fit_ends():
    data = make()

    def fit(weights, first, last):
        model = keras.Sequential(
            [keras.Input(data.input_shape), keras.layers.Flatten()]
            + [keras.layers.Dense(data.num_classes)]
        )
        if weights is None:
            weights = [np.zeros(w.shape, np.float32) for w in model.get_weights()]
        model.set_weights(weights)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
        model.fit(
            data.train(first),
            initial_epoch=first,
            epochs=last,
            steps_per_epoch=data.steps_per_epoch,
            shuffle=False,
            verbose=0,
        )
        return model.get_weights()

    whole = fit(None, 0, 3)
    resumed = fit(fit(None, 0, 2), 2, 3)
    other = fit(fit(None, 0, 2), 0, 1)
    for one, two in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)
    assert np.abs(whole[0] - other[0]).max() > 1e-3


def mirrored_by_example(data, epoch):
    """Of each example, whether it is mirrored in that epoch, found by trying."""
    pad = data.preprocessing.padding
    spread = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    padded = np.pad(data.train_examples.inputs, spread, mode="reflect")
    padded = (padded / 255 - 0.5) / 0.25
    found = {}
    for pictures, labels in batches(data.train(epoch), data.steps_per_epoch):
        for picture, label in zip(pictures, labels, strict=True):
            sides = {
                side == -1
                for side in (1, -1)
                for i in range(2 * pad + 1)
                for j in range(2 * pad + 1)
                if np.allclose(
                    picture[:, ::side], padded[label, i : i + 8, j : j + 8], atol=1e-5
                )
            }
            (found[int(label)],) = sides  # cut from the reflected picture, once
    return np.array([found[i] for i in range(data.train_size)])


def test_two_epochs_in_a_row_show_both_sides_of_every_picture():
    data = make(alternating=True)
    first, second, third = (mirrored_by_example(data, e) for e in (0, 1, 2))
    np.testing.assert_array_equal(first, ~second)
    np.testing.assert_array_equal(first, third)
    assert 10 < first.sum() < 40  # by chance of 50, within four standard errors
    other = mirrored_by_example(make(seed=1, alternating=True), 0)
    assert 10 < (first != other).sum() < 40


def test_shifts_still_differ_where_mirrors_alternate():
    data = make(alternating=True)
    first, third = (
        {
            int(y): x
            for xs, ys in batches(data.train(e), data.steps_per_epoch)
            for x, y in zip(xs, ys, strict=True)
        }
        for e in (0, 2)
    )
    assert sum(np.array_equal(first[y], third[y]) for y in first) < 10


def test_plain_inputs_are_those_of_a_batch_as_they_stand():
    data = make(alternating=True)
    expected = (data.train_examples.inputs[:7] / 255 - 0.5) / 0.25
    np.testing.assert_allclose(data.plain(7), expected, rtol=0, atol=1e-6)
    assert len(data.plain(1000)) == 50
