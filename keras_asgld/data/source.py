"""What a data set is before it becomes a pipeline: its examples and constants."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class DataError(RuntimeError):
    """A data set is not available; the message, one line, says what to do."""


class Examples(NamedTuple):
    """Inputs and labels.

    Attributes:
        inputs: Pictures, uint8 `[n, height, width, channels]`; rows of a table,
            float32 `[n, columns]`; texts, int32 `[n, tokens]`; or speech, float32
            `[n, moments, bands, 1]`.
        labels: Classes, int32 `[n]`; or numbers, float32 `[n, outputs]`.
    """

    inputs: np.ndarray
    labels: np.ndarray

    def take(self, indices):
        return Examples(self.inputs[indices], self.labels[indices])

    def of_classes(self, classes):
        """Those whose label is in the range `classes`, which is made to start at 0."""
        chosen = (self.labels >= classes.start) & (self.labels < classes.stop)
        inputs, labels = self.take(chosen)
        return Examples(inputs, labels - classes.start)


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set as published.

    Attributes:
        read: Takes a data directory or `None`, returns the training and the test
            `Examples`, always in the same order.
        num_classes: Number of labels, which run from 0; `None` where they are numbers.
        white: The picture value that stands for 1.0; `None` where the inputs are no
            pictures.
        mean, std: One number for each channel, in units of `white`.
        padding: Pixels of black around a picture before a crop is cut from it.
        mirror: Whether a mirrored picture keeps its label.
        before: Of a data set that a network meets only after another: the range of
            classes that belong to that one. The others come after it.
    """

    read: Callable[[str | None], tuple[Examples, Examples]]
    num_classes: int | None
    white: float | None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    padding: int = 0
    mirror: bool = False
    before: range | None = None
