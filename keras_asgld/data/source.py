"""What a data set is before it becomes a pipeline: its pictures and constants."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class DataError(RuntimeError):
    """A data set is not available; the message, one line, says what to do."""


class Examples(NamedTuple):
    """Pictures, uint8 `[n, height, width, channels]`, and labels, int32 `[n]`."""

    pictures: np.ndarray
    labels: np.ndarray

    def take(self, indices):
        return Examples(self.pictures[indices], self.labels[indices])


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set as published.

    Attributes:
        read: Takes a data directory or `None`, returns the training and the test
            `Examples`, always in the same order.
        num_classes: Number of labels, which run from 0.
        white: The picture value that stands for 1.0.
        mean, std: One number a channel, in units of `white`.
        padding: Pixels of black around a picture before a crop is cut from it.
        mirror: Whether a mirrored picture keeps its label.
    """

    read: Callable[[str | None], tuple[Examples, Examples]]
    num_classes: int
    white: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: int = 0
    mirror: bool = False
