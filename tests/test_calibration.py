import numpy as np
import pytest

from keras_asgld import calibration


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.5] * 4, size=400)
    return p, rng.integers(4, size=400)


def test_figures_are_those_by_hand(predictions):
    p, labels = predictions
    figures = calibration.figures(p.astype("float32"), labels)
    right = p.argmax(1) == labels
    truth = p[np.arange(400), labels]
    brier = [(row**2).sum() - 2 * t + 1 for row, t in zip(p, truth, strict=True)]
    error = 0.0
    for i in range(15):
        inside = (p.max(1) > i / 15) & (p.max(1) <= (i + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - p.max(1)[inside].mean())
    expected = {
        "accuracy": right.mean(),
        "negative_log_likelihood": -np.log(truth).mean(),
        "brier_score": np.mean(brier),
        "expected_calibration_error": error,
        "entropy": -(p * np.log(p)).sum(1).mean(),
    }
    assert set(figures) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(figures[name], value, rtol=1e-4, err_msg=name)


def test_two_classes_count_as_more_do():
    figures = calibration.figures([[0.7, 0.3], [0.2, 0.8]], [0, 0])
    np.testing.assert_allclose(figures["brier_score"], (2 * 0.09 + 2 * 0.64) / 2)
    np.testing.assert_allclose(figures["expected_calibration_error"], (0.3 + 0.8) / 2)


def test_a_class_without_examples_and_certain_predictions():
    figures = calibration.figures(np.eye(3)[[0, 1, 1]], [0, 1, 1])
    assert figures["accuracy"] == 1 and figures["entropy"] == 0
    assert figures["expected_calibration_error"] == 0
    assert abs(figures["negative_log_likelihood"]) < 1e-12


def test_bins_hold_all_predictions(predictions):
    diagram = calibration.reliability(*predictions, bins=7)
    assert diagram.count.sum() == 400
    assert len(diagram.count) == len(diagram.accuracy) == len(diagram.confidence)
    assert (np.diff(diagram.confidence) > 0).all()


@pytest.mark.parametrize(
    "probabilities, labels, words",
    [
        ([0.5, 0.5], [0], "must have the shape"),
        ([[0.5, 0.5]], [0, 1], "must have the shape"),
        ([[2.0, -1.0]], [0], "must be finite and not negative"),
        ([[np.nan, 1.0]], [0], "must be finite and not negative"),
        ([[3.0, 1.0]], [0], "must add to one"),
        ([[0.5, 0.5]], [2], "must be integers from 0 to 1"),
        ([[0.5, 0.5]], [0.5], "must be integers from 0 to 1"),
    ],
)
def test_wrong_arguments_are_named(probabilities, labels, words):
    with pytest.raises(ValueError, match=words):
        calibration.figures(probabilities, labels)
