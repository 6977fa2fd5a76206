import numpy as np
import pytest

from keras_asgld.reports import tables
from keras_asgld.runs.tasks import ACCURACY


def record(optimizer, seed, figures, status="finished"):
    epochs = [
        {
            "epoch": i + 1,
            "test_accuracy": value,
            "test_loss": value and 3 * value,
            "train_accuracy": value and value / 2,
            "step_seconds": 0.01 * (i + 1),
        }
        for i, value in enumerate(figures)
    ]
    settings = {"optimizer": optimizer, "seed": seed}
    return {"settings": settings, "status": status, "epochs": epochs}


RUNS = [
    [0.1, 0.99, 0.5, 0.6, 0.7],
    [0.2, 0.1, 0.8, 0.8, 0.9],
    [0.3, 0.3, 0.1, 0.2, 0.4],
]


def test_mean_and_standard_deviation_over_seeds_are_numpys():
    (row,) = tables.summarize([record("sgd", i, run) for i, run in enumerate(RUNS)])
    values = np.array(RUNS)[:, -3:].mean(1)
    for name, scale in (
        ("test_accuracy", 1),
        ("test_loss", 3),
        ("train_accuracy", 0.5),
    ):
        np.testing.assert_allclose(row[name]["mean"], scale * values.mean())
        np.testing.assert_allclose(row[name]["std"], scale * values.std(ddof=1))
    assert row["step_seconds"] == 0.03
    assert row["finished"] == 3


def test_one_seed_has_no_standard_deviation():
    (row,) = tables.summarize([record("sgd", 0, RUNS[0])])
    assert row["test_accuracy"]["std"] is None
    assert "±" not in tables.markdown([row], "title", ACCURACY)


def test_a_failed_run_is_counted_and_not_averaged():
    failed = record("sgd", 1, [0.5, None], status="failed")
    (row,) = tables.summarize([record("sgd", 0, RUNS[0]), failed])
    np.testing.assert_allclose(row["test_accuracy"]["mean"], 0.6)
    assert "1, 1 failed" in tables.markdown([row], "title", ACCURACY)


def test_all_failed_is_a_row_with_no_figures():
    failed = record("sgd", 0, [None], status="failed")
    text = tables.markdown(tables.summarize([failed]), "title", ACCURACY)
    assert "| sgd | – | – | – | 10 ms | 0, 1 failed |" in text


@pytest.mark.parametrize(
    "seconds, text",
    [(None, "–"), (0.00123456, "1.23 ms"), (0.9994, "999 ms"), (1.292, "1.29 s")],
)
def test_a_step_of_a_second_is_told_in_seconds(seconds, text):
    assert tables._duration(seconds) == text
