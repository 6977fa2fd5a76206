"""Random crops and mirrors, resizing and normalisation of batches of pictures."""

import dataclasses

import numpy as np
from keras import ops


def shrink(pictures, size):
    """Returns uint8 pictures averaged down to `size` x `size`; smaller ones stay."""
    height, width = pictures.shape[1:3]
    if max(height, width) <= size:
        return pictures
    rows, columns = _shares(height, size), _shares(width, size)
    count, channels = len(pictures), pictures.shape[-1]
    smaller = np.empty((count, size, size, channels), np.uint8)
    for i in range(0, count, 1000):  # float64 copies of some 20 MB each
        chunk = pictures[i : i + 1000].astype(np.float64)
        sums = rows @ chunk.reshape(-1, height, width * channels)
        sums = columns @ sums.reshape(-1, size, width, channels)
        smaller[i : i + 1000] = np.rint(sums / (height * width))
    return smaller


def _shares(old, new):
    """How much of each of `old` pixels lies in each of `new`, in units of `1 / new`.

    Whole numbers, so that the sums are exact and a mean is rounded the same everywhere.
    """
    i, pixel = np.arange(new)[:, None], np.arange(old)
    overlap = np.minimum((i + 1) * old, (pixel + 1) * new) - np.maximum(
        i * old, pixel * new
    )
    return np.maximum(overlap, 0).astype(np.float64)


@dataclasses.dataclass(frozen=True)
class AsStored:
    """What happens to inputs that are stored as the network takes them: nothing."""

    ways = (1, 1, 1)
    alternating = False

    def augment(self, inputs, draws):
        return inputs

    def normalise(self, inputs):
        return inputs


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How stored pictures become the network's input.

    Its methods are operations of Keras: they run in a tf.data pipeline with the
    TensorFlow backend and on the device with the others.

    Attributes:
        white: The stored value that stands for 1.0.
        mean, std: One number for each channel, in units of `white`.
        size: Height and width of the result; stored pictures smaller than this are
            enlarged (bilinear) after the crop.
        padding: Pixels around a stored picture before a crop of its own size is cut
            from it; 0 for none.
        mirror: Whether every second picture, by chance, is mirrored left to right.
        alternating: Whether a picture is mirrored in every second epoch instead, from
            the first or the second on by chance.
        reflect: Whether the padding is the picture's reflection, not black.
    """

    white: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    padding: int = 0
    mirror: bool = False
    alternating: bool = False
    reflect: bool = False

    @property
    def ways(self):
        """How many values `top`, `left` and `mirrored` of a draw may take."""
        return (2 * self.padding + 1, 2 * self.padding + 1, 1 + self.mirror)

    def augment(self, pictures, draws):
        """Cuts a crop from each padded picture and mirrors it.

        Args:
            pictures: `[n, height, width, channels]`.
            draws: int32 rows (top, left, mirrored), each below its `ways`.
        """
        if max(self.ways) == 1:
            return pictures
        height, width, channels = pictures.shape[1:]
        tall, wide = height, width
        if not self.reflect:
            pad = (self.padding, self.padding)
            pictures = ops.pad(pictures, ((0, 0), pad, pad, (0, 0)))
            tall, wide = pictures.shape[1:3]

        draws = ops.convert_to_tensor(draws)
        top, left, mirrored = (draws[:, i, None] for i in range(3))
        rows = top + ops.arange(height, dtype="int32")
        columns = ops.arange(width, dtype="int32")
        columns = left + ops.where(mirrored == 1, width - 1 - columns, columns)
        if self.reflect:
            rows = _reflected(rows - self.padding, height)
            columns = _reflected(columns - self.padding, width)
        picture = ops.arange(ops.shape(pictures)[0], dtype="int32")[:, None, None]
        pixels = (picture * tall + rows[:, :, None]) * wide + columns[:, None, :]
        # One gather of whole pixels; a gather along each axis would copy twice.
        return ops.take(ops.reshape(pictures, (-1, channels)), pixels, axis=0)

    def normalise(self, pictures):
        """Returns (pictures / white - mean) / std, float32."""
        pictures = ops.cast(pictures, "float32")
        if pictures.shape[1] < self.size:
            size = (self.size, self.size)
            pictures = ops.image.resize(pictures, size, data_format="channels_last")
        white = np.float32(self.white)
        mean = ops.convert_to_tensor(white * np.float32(self.mean))
        return (pictures - mean) / ops.convert_to_tensor(white * np.float32(self.std))


def _reflected(places, length):
    """Places on a line of pixels, with those outside of it thrown back at its ends."""
    places = ops.absolute(places)
    return ops.minimum(places, 2 * (length - 1) - places)
