"""Spectrograms of a TFDS directory: no speech in it, but tones in noise."""

import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.cli.command import main
from keras_asgld.data import spoken_digit
from keras_asgld.data.spoken_digit import BANDS, FRAMES, RATE, SAMPLES, STRIDE, WINDOW
from keras_asgld.runs import records
from tests.support.prepared import LEAD, RECORDINGS, SPEAKERS, pitch


def mel(hertz):
    return 1127 * np.log(1 + np.asarray(hertz) / 700)


def band(hertz):
    """The band whose middle is nearest; the outer ones end at 20 and 4,000 hertz."""
    place = (mel(hertz) - mel(20)) / (mel(4000) - mel(20)) * (BANDS + 1) - 1
    return int(round(float(place)))


def tone(hertz, samples=SAMPLES, loud=1000.0):
    return loud * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)


def test_recordings_become_spectrograms_with_their_digits(made_up):
    loaded = data.load("spoken_digit", data_dir=str(made_up("spoken_digit")))
    assert (loaded.input_shape, loaded.num_classes) == ((FRAMES, BANDS, 1), 10)
    for part, each in (("train", RECORDINGS - 5), ("test", 5)):
        inputs, labels = getattr(loaded, f"{part}_examples")
        assert (inputs.dtype, labels.dtype) == (np.float32, np.int32)
        assert inputs.min() == 0 and inputs.max() == 1
        np.testing.assert_array_equal(np.bincount(labels), [each * len(SPEAKERS)] * 10)
        loudest = inputs[:, 15:30, :, 0].mean(axis=1).argmax(axis=1)
        np.testing.assert_array_equal(loudest, [band(pitch(d)) for d in labels])
        # The first five of a speaker's recordings, and no others, begin in silence.
        silent = inputs[:, : LEAD // STRIDE - 1].max(axis=(1, 2, 3)) == 0
        assert (silent == (part == "test")).all()


def test_a_moment_is_the_power_in_bands_of_pitch():
    noise = np.random.RandomState(0).standard_normal(SAMPLES)
    found = spoken_digit.spectrograms(noise[None])[0, 20, :, 0]
    middle = 20 * STRIDE
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    part = noise[middle - WINDOW // 2 : middle + WINDOW // 2]
    power = np.abs(np.fft.rfft(window * part)) ** 2
    hertz = mel(np.arange(1, WINDOW // 2 + 1) * RATE / WINDOW)
    edges = np.linspace(mel(20), mel(RATE / 2), BANDS + 2)
    weights = [
        np.interp(hertz, edges[i : i + 3], [0, 1, 0], left=0, right=0)
        for i in range(BANDS)
    ]
    expected = 10 * np.log10(np.array(weights) @ power[1:]) / spoken_digit.RANGE
    # Up to the loudest of the whole recording, which is the same for all bands.
    np.testing.assert_allclose(
        found - found.mean(), expected - expected.mean(), atol=1e-4
    )


def test_time_runs_along_the_first_axis():
    sound = tone(1000)
    sound[: SAMPLES // 2] = 0
    (picture,) = spoken_digit.spectrograms(sound[None])
    before, after = FRAMES // 2 - 2, FRAMES // 2 + 2
    assert picture[:before].max() == 0
    assert (picture[after:, band(1000)] > 0.95).all()


def test_a_tenth_of_the_amplitude_is_twenty_decibels_less():
    sound = tone(1000)
    sound[SAMPLES // 2 :] /= 10
    (picture,) = spoken_digit.spectrograms(sound[None])
    loud, quiet = picture[10:20, band(1000)], picture[-20:-10, band(1000)]
    assert spoken_digit.RANGE == 80
    np.testing.assert_allclose(loud, 1, atol=5e-3)
    np.testing.assert_allclose(quiet, 1 - 20 / 80, atol=5e-3)


def test_a_spectrogram_depends_on_nothing_but_its_own_recording():
    quiet, loud = tone(500, loud=20), tone(2000, loud=30_000)
    alone = spoken_digit.spectrograms(quiet[None])
    together = spoken_digit.spectrograms(np.stack([loud, quiet]))
    np.testing.assert_allclose(together[1:], alone, atol=1e-6)
    louder = spoken_digit.spectrograms(50 * quiet[None])
    np.testing.assert_allclose(louder, alone, atol=1e-4)


def test_recordings_of_any_length_fill_a_second():
    long = tone(500, 2 * SAMPLES)[None]
    cut = spoken_digit.spectrograms(long)
    np.testing.assert_array_equal(cut, spoken_digit.spectrograms(long[:, :SAMPLES]))
    short = spoken_digit.spectrograms(long[:, : SAMPLES // 4])
    assert short.shape == cut.shape and short[:, FRAMES // 4 + 2 :].max() == 0
    assert spoken_digit.spectrograms(0 * long).max() == 0  # silence


@pytest.mark.parametrize("model", ["cnn-narrow"])
def test_a_network_learns_the_tones(model, made_up, tmp_path):
    command = ["train", "--dataset=spoken_digit", f"--model={model}"]
    command += [f"--data_dir={made_up('spoken_digit')}", "--optimizer=adam"]
    command += ["--learning_rate=0.003", "--epochs=1", "--batch_size=4"]
    assert main([*command, f"--out_dir={tmp_path}/run", "--jit_compile=off"]) == 0
    # By chance a tenth of a hundred.
    assert records.read(tmp_path / "run")["epochs"][-1]["test_accuracy"] > 0.25
