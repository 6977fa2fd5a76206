"""How far predicted probabilities can be believed.

Probabilities are arrays of shape (examples, classes), rows that add to one; labels are
integers from 0, of shape (examples,).
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from keras_asgld.checks import check_integer


@dataclasses.dataclass(frozen=True)
class Reliability:
    """A reliability diagram: predictions by confidence, in bins of one width.

    Empty bins are left out.

    Attributes:
        confidence: The bins' mean confidence, the probability of the likeliest class.
        accuracy: The share of each bin that is right.
        count: How many predictions each bin holds.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """Mean over the predictions of |accuracy - confidence| of their bins."""
        gap = np.abs(self.accuracy - self.confidence)
        return float((self.count * gap).sum() / self.count.sum())


def figures(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> dict[str, float]:
    """The usual figures of a classifier's probabilities.

    ```python
    from keras_asgld import calibration

    figures = calibration.figures([[0.8, 0.2], [0.4, 0.6]], [0, 0])
    assert figures["accuracy"] == 0.5
    ```

    Args:
        probabilities, labels: See above.
        bins: Bins of the calibration error, an integer >= 1. Defaults to `15`.

    Returns:
        A dict of floats: `accuracy`; `negative_log_likelihood`, the mean, in nats;
        `brier_score`, the mean squared distance from the one-hot label, summed over
        the classes (0 to 2); `expected_calibration_error` (Naeini et al. 2015; Guo et
        al. 2017, equation 3); `entropy`, the mean predictive entropy in nats.

    Raises:
        ValueError: If shapes or values are not as above.
    """
    from sklearn import metrics

    probabilities, labels = _checked(probabilities, labels)
    classes = np.arange(probabilities.shape[1])
    one_hot = labels[:, None] == classes
    return {
        "accuracy": float(metrics.accuracy_score(labels, probabilities.argmax(1))),
        "negative_log_likelihood": float(
            metrics.log_loss(labels, probabilities, labels=classes)
        ),
        # Scikit-learn's treats two classes differently from more.
        "brier_score": float(np.square(probabilities - one_hot).sum(1).mean()),
        "expected_calibration_error": reliability(
            probabilities, labels, bins
        ).expected_calibration_error,
        "entropy": float(entropy(probabilities).mean()),
    }


def reliability(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> Reliability:
    """The `Reliability` diagram of the likeliest classes.

    Args:
        probabilities, labels: See above.
        bins: An integer >= 1; the bins divide [0, 1]. Defaults to `15`.
    """
    from sklearn.calibration import calibration_curve

    check_integer("bins", bins, 1)
    probabilities, labels = _checked(probabilities, labels)
    confidence = np.clip(probabilities.max(1), 0, 1)
    right = probabilities.argmax(1) == labels
    accuracy, mean = calibration_curve(right, confidence, n_bins=bins, pos_label=True)
    edges = np.linspace(0, 1, bins + 1)  # scikit-learn's, which gives no counts
    count = np.bincount(np.searchsorted(edges[1:-1], confidence))
    return Reliability(mean, accuracy, count[count > 0])


def entropy(probabilities: ArrayLike) -> np.ndarray:
    """The entropy of each row of probabilities, in nats; the last axis is the classes.

    One hopes that it is high on inputs that are unlike those of training.
    """
    p = np.asarray(probabilities, "float64")
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def _checked(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(probabilities, "float64")
    labels = np.asarray(labels)
    if p.ndim != 2 or not len(p) or labels.shape != p.shape[:1]:
        raise ValueError(
            "`probabilities` must have the shape (examples, classes) and `labels` the "
            f"shape (examples,). Received: shapes {p.shape} and {labels.shape}"
        )
    if not (np.isfinite(p).all() and (p >= 0).all()):
        raise ValueError(
            "`probabilities` must be finite and not negative. "
            f"Received: probabilities from {p.min()} to {p.max()}"
        )
    total = p.sum(1)
    if np.abs(total - 1).max() > 1e-3:
        raise ValueError(
            "`probabilities` must add to one in each row. "
            f"Received: rows that add to {total.min()} to {total.max()}"
        )
    if not np.isin(labels, np.arange(p.shape[1])).all():
        raise ValueError(
            f"`labels` must be integers from 0 to {p.shape[1] - 1}. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )
    return p / total[:, None], labels.astype(int)
