"""A first layer that makes a picture's patches uncorrelated, learnt from pictures."""

import keras
import numpy as np
from keras import ops

# Added to the variances, so that directions in which patches hardly differ, which are
# mostly noise, are not blown up.
EPSILON = 5e-4
CHUNK = 500  # pictures whose patches are in memory at once, some 50 MB


@keras.saving.register_keras_serializable(package="keras_asgld")
class Whitening(keras.layers.Layer):
    """A convolution whose outputs on the pictures it was shown are uncorrelated.

    Its filters are the principal directions of the pictures' square patches, each
    divided by its standard deviation, and then the same with the opposite sign, so that
    no rectifier after it loses anything. `adapt` finds them; no training changes them.
    Before `adapt` the filters are the pixels of a patch.

    ```python
    import numpy as np
    from keras_asgld.models import Whitening

    pictures = np.random.default_rng(0).normal(size=(50, 8, 8, 3))
    layer = Whitening()
    layer.adapt(pictures)
    assert layer(pictures).shape == (50, 7, 7, 24)
    ```

    Args:
        size: Positive integer, the side of a patch in pixels. There are
            `2 * size**2 * channels` filters.
    """

    def __init__(self, size=2, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def build(self, input_shape):
        pixels = self.size**2 * input_shape[-1]
        self.kernel = self.add_weight(
            shape=(self.size, self.size, input_shape[-1], 2 * pixels),
            initializer=lambda shape, dtype: ops.cast(
                ops.reshape(_both_signs(np.eye(pixels)), shape), dtype
            ),
            trainable=False,
            name="kernel",
        )

    def adapt(self, pictures):
        """Finds the filters.

        Args:
            pictures: `[n, height, width, channels]`, as the layer will be given them.
        """
        pictures = np.asarray(pictures)
        if not self.built:
            self.build(pictures.shape)
        variances, directions = np.linalg.eigh(second_moments(pictures, self.size))
        # The largest first; of the two signs, in which they are alike, one is chosen.
        directions = directions[:, ::-1] / np.sqrt(variances[::-1] + EPSILON)
        largest = np.abs(directions).argmax(axis=0)
        directions *= np.sign(directions[largest, np.arange(len(variances))])
        self.kernel.assign(np.reshape(_both_signs(directions), self.kernel.shape))

    def call(self, pictures):
        return ops.conv(pictures, self.kernel, data_format="channels_last")

    def compute_output_shape(self, input_shape):
        count, height, width, channels = input_shape
        sides = (side and side - self.size + 1 for side in (height, width))
        return count, *sides, 2 * self.size**2 * channels

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def second_moments(pictures, size):
    """The mean of `p pᵀ` over the patches p of all pictures, float64.

    A patch's numbers are in the order of rows, columns, channels.
    """
    total, count = 0.0, 0
    for first in range(0, len(pictures), CHUNK):
        chunk = pictures[first : first + CHUNK].astype(np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(chunk, (size, size), (1, 2))
        patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(
            -1, size**2 * chunk.shape[-1]
        )
        total += patches.T @ patches
        count += len(patches)
    return total / count


def _both_signs(directions):
    return np.concatenate([directions, -directions], axis=1)
