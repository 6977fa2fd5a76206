"""Accuracy by several views of each test picture."""

import types

import keras
import numpy as np
import pytest

from keras_asgld.reports import tables
from keras_asgld.runs import record_contents, views
from keras_asgld.runs.files import ExperimentError
from keras_asgld.runs.tasks import ACCURACY


def pictures():
    return np.random.default_rng(0).normal(size=(70, 6, 5, 3)).astype("float32")


def test_the_views_are_the_picture_two_shifts_and_their_mirrors():
    x = pictures()
    found = list(views.views(x))
    assert len(found) == 6
    np.testing.assert_array_equal(found[0], x)
    for plain, mirror in zip(found[::2], found[1::2], strict=True):
        np.testing.assert_array_equal(mirror, plain[:, :, ::-1])
    right, left = found[2], found[4]  # beyond an edge is the pixel within it
    np.testing.assert_array_equal(left[:, 1:, 1:], x[:, :-1, :-1])
    np.testing.assert_array_equal(left[:, 0, 1:], x[:, 1, :-1])
    np.testing.assert_array_equal(right[:, :-1, :-1], x[:, 1:, 1:])
    np.testing.assert_array_equal(right[:, :-1, -1], x[:, 1:, -2])


def test_accuracies_are_those_of_means_taken_by_hand():
    x = pictures()
    network = keras.Sequential(
        [keras.Input((6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    network.layers[-1].set_weights(
        [np.random.default_rng(1).normal(size=(90, 3)), 0 * np.ones(3)]
    )

    def logits(pictures):
        kernel = keras.ops.convert_to_numpy(network.layers[-1].kernel)
        return pictures.reshape(len(pictures), -1).astype(np.float64) @ kernel

    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    both = {
        name: (logits(p) + logits(p[:, :, ::-1])) / 2
        for name, p in {
            "here": x,
            "up": padded[:, :6, :5],
            "down": padded[:, 2:, 2:],
        }.items()
    }
    six = both["here"] / 2 + (both["up"] + both["down"]) / 4
    means = {"1": logits(x), "2": both["here"], "6": six}
    labels = six.argmax(1).astype("int32")
    labels[:35] = means["2"].argmax(1)[:35]
    data = types.SimpleNamespace(
        test=lambda: [(x[:50], labels[:50]), (x[50:], labels[50:])], test_size=70
    )
    network.compile("sgd", "mse")
    found = views.measure(network, data)
    assert found == {
        name: pytest.approx((mean.argmax(1) == labels).mean())
        for name, mean in means.items()
    }
    assert len(set(found.values())) == 3  # so that none can stand for another


def record(accuracies, seed=0):
    epoch = {
        "epoch": 1,
        "learning_rate": 0.1,
        "seconds": 1.0,
        "step_seconds": 0.1,
        **dict.fromkeys(("train_loss", "test_loss"), 1.0),
        **dict.fromkeys(("train_accuracy", "test_accuracy"), 0.5),
    }
    return {
        "format": 1,
        "status": "finished",
        "settings": {
            "dataset": "cifar10",
            "model": "airbench",
            "optimizer": "sgd",
            "seed": seed,
            "augment": "alternating",
        },
        "versions": {},
        "machine": {},
        "epochs": [epoch],
        "views": accuracies,
    }


def test_they_have_columns_of_their_own_beside_the_plain_accuracy():
    records = [
        record({"1": 0.5, "2": 0.6, "6": 0.7}),
        record({"1": 0.5, "2": 0.62, "6": 0.7}, seed=1),
    ]
    header, (line,) = tables.cells(tables.summarize(records), ACCURACY)
    assert header[1:4] == ["test accuracy", "by 2 views", "by 6 views"]
    assert line[1:4] == ["50.00 ± 0.00 %", "61.00 ± 1.41 %", "70.00 ± 0.00 %"]


def test_a_run_that_failed_has_none(make_settings):
    failed = record(None) | {"status": "failed"}
    rows = tables.summarize([record({"1": 0.5, "2": 0.6, "6": 0.7}), failed])
    assert rows[0]["views"]["6"] == {"mean": 0.7, "std": None}
    others = [rows[0], tables.summarize([failed])[0] | {"optimizer": "adam"}]
    assert tables.cells(others, ACCURACY)[1][1][1:4] == ["–"] * 3


@pytest.mark.parametrize(
    "found, fault",
    [
        (None, "`views` is missing"),
        ([], "`views` is of the wrong type"),
        ({"1": 0.5, "2": 0.5}, "`views.6` is missing"),
        ({"1": 0.5, "2": 0.5, "6": 1.5}, "`views.6` is not in [0, 1]"),
    ],
)
def test_a_changed_record_is_found_out(found, fault):
    assert record_contents.fault(record(found)).startswith(fault)
    assert record_contents.fault(record({"1": 0.5, "2": 0.6, "6": 0.7})) is None


def test_digits_have_no_mirror_image(make_settings):
    with pytest.raises(
        ExperimentError, match="`augment` must be random with --dataset=digits, where"
    ):
        make_settings(augment="alternating")


def test_a_run_of_tune_never_sees_the_test_pictures(make_settings):
    chosen = {"dataset": "cifar10", "augment": "alternating"}
    assert make_settings(**chosen).by_views
    assert not make_settings(**chosen, validation_size=10).by_views
    assert not make_settings(dataset="cifar10").by_views
