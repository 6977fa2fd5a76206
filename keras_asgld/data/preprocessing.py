"""Random crops and mirrors, resizing and normalisation of batches of pictures."""

import dataclasses

import numpy as np
import tensorflow as tf


def shrink(pictures, size):
    """Returns uint8 pictures averaged down to `size` x `size`; small ones as is."""
    if max(pictures.shape[1:3]) <= size:
        return pictures

    count, channels = len(pictures), pictures.shape[-1]
    smaller = np.empty((count, size, size, channels), np.uint8)
    with tf.device("CPU"):
        for i in range(0, count, 1000):  # float32 copies of a few MB each
            chunk = tf.image.resize(pictures[i : i + 1000], (size, size), method="area")
            smaller[i : i + 1000] = tf.round(chunk).numpy()
    return smaller


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How stored pictures become the network's input.

    Attributes:
        white: The stored value that stands for 1.0.
        mean, std: One number a channel, in units of `white`.
        size: Height and width of the result; stored pictures smaller than this are
            enlarged (bilinear) after the crop.
        padding: Pixels of black around a stored picture before a crop of its own size
            is cut from it; 0 for none.
        mirror: Whether every second picture, by chance, is mirrored left to right.
    """

    white: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    padding: int = 0
    mirror: bool = False

    def draw(self, count, seed):
        """Returns the chance of `count` pictures: int32 rows (top, left, mirrored).

        `top` and `left` are uniform over 0 … 2 `padding`, `mirrored` over 0 and 1.
        """
        ways = (2 * self.padding + 1, 2 * self.padding + 1, 1 + self.mirror)
        uniform = tf.random.stateless_uniform((count, 3), seed)
        return tf.cast(uniform * tf.constant(ways, tf.float32), tf.int32)

    def augment(self, pictures, draws):
        """Cuts a crop from each padded picture and mirrors it, as `draws` say."""
        pad = [self.padding, self.padding]
        padded = tf.pad(pictures, [[0, 0], pad, pad, [0, 0]])
        height, width = pictures.shape[1:3]
        top, left, mirrored = (draws[:, i, None] for i in range(3))
        rows = top + tf.range(height)
        columns = tf.range(width)
        columns = left + tf.where(mirrored == 1, width - 1 - columns, columns)
        cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
        return tf.gather(cropped, columns, axis=2, batch_dims=1)

    def normalise(self, pictures):
        """Returns (pictures / white - mean) / std, float32."""
        pictures = tf.cast(pictures, tf.float32)
        if pictures.shape[1] < self.size:
            pictures = tf.image.resize(pictures, (self.size, self.size))
        white = np.float32(self.white)
        return (pictures - white * np.float32(self.mean)) / (
            white * np.float32(self.std)
        )
