"""Spoken digits through TensorFlow Datasets, as spectrograms on a scale of loudness."""

import keras
import numpy as np
from keras import ops

from keras_asgld.data import catalogue
from keras_asgld.data.source import Examples, Source

RATE = 8000  # samples a second, as recorded
WINDOW, STRIDE = 256, 128  # samples of which a spectrum is made, and to the next one
FRAMES, BANDS = 64, 32
SAMPLES = (FRAMES - 1) * STRIDE  # a second; of longer recordings the rest is cut off
RANGE = 80.0  # decibels below a recording's loudest, from which on all is silence
# As its authors part it: the first recordings of each digit by each speaker.
TEST_RECORDINGS = 5

_AT_ONCE = 250


def read(data_dir=None):
    """Returns 2,250 training and 250 test examples, downloaded where needed.

    An input is float32 `[FRAMES, BANDS, 1]`, time first, with 1 for the loudest of the
    recording and 0 for silence.
    """
    return catalogue.read("spoken_digit", "The spoken digits", data_dir, _both_parts)


def _both_parts(builder):
    inputs, labels, numbers = [], [], []
    # In pieces, for each is as long as the longest recording in it.
    recordings = builder.as_dataset(
        split="train", batch_size=_AT_ONCE, shuffle_files=False
    )
    for piece in recordings.as_numpy_iterator():
        inputs.append(spectrograms(piece["audio"]))
        labels.append(piece["label"])
        numbers += [_number(name.decode()) for name in piece["audio/filename"]]
    examples = Examples(np.concatenate(inputs), np.concatenate(labels).astype(np.int32))
    is_test = np.array(numbers) < TEST_RECORDINGS
    return examples.take(~is_test), examples.take(is_test)


def _number(name):
    """Which of a speaker's recordings of a digit it is: 12 of `7_jackson_12.wav`."""
    return int(name.removesuffix(".wav").rpartition("_")[2])


def spectrograms(recordings):
    """Returns float32 `[n, FRAMES, BANDS, 1]` in [0, 1] of recordings `[n, samples]`.

    Each is a function of its own recording alone.
    """
    sound = np.zeros((len(recordings), SAMPLES), np.float32)
    recordings = recordings[:, :SAMPLES]
    sound[:, : recordings.shape[1]] = recordings
    # Not in decibels: the layer would cut them off below the loudest of all recordings.
    layer = keras.layers.MelSpectrogram(
        fft_length=WINDOW,
        sequence_stride=STRIDE,
        sampling_rate=RATE,
        num_mel_bins=BANDS,
        power_to_db=False,
        dtype="float32",
    )
    power = ops.convert_to_numpy(layer(sound)).transpose(0, 2, 1)[..., None]
    loudest = np.maximum(power.max(axis=(1, 2), keepdims=True), 1.0)
    quietest = np.float32(10 ** (-RANGE / 10))
    decibels = 10 * np.log10(np.maximum(power / loudest, quietest))
    return np.clip(1 + decibels / RANGE, 0, 1).astype(np.float32)


SOURCE = Source(read, num_classes=10, white=None)
