"""The network for CIFAR-10 in minutes: its whitening layer, its start, its sizes."""

import keras
import numpy as np
import pytest

from keras_asgld import models
from keras_asgld.models import whitening
from keras_asgld.models.airbench import PartlyIdentity, Shift


def pictures(count=40, side=9, channels=3):
    """Pictures whose neighbouring pixels and channels are alike."""
    noise = np.random.default_rng(0).normal(size=(count, side + 2, side, channels))
    smooth = noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:] + 0.7
    mixed = smooth + 0.5 * smooth[..., ::-1]
    return mixed.astype(np.float32)


def outputs(layer, x):
    return keras.ops.convert_to_numpy(layer(x))


@pytest.mark.parametrize("size, channels", [(2, 3), (3, 1)])
def test_whitened_patches_have_the_identity_as_second_moments(size, channels):
    x = 10 * pictures(channels=channels)  # beside whose variances epsilon is nothing
    layer = models.Whitening(size)
    layer.adapt(x)
    y = outputs(layer, x)
    filters = size**2 * channels
    assert y.shape == (40, 10 - size, 10 - size, 2 * filters)
    first = y[..., :filters].reshape(-1, filters).astype(np.float64)
    moments = first.T @ first / len(first)
    np.testing.assert_allclose(moments, np.eye(filters), atol=1e-3)
    np.testing.assert_array_equal(y[..., filters:], -y[..., :filters])


def test_second_moments_are_those_of_patches_cut_by_hand():
    x = pictures(count=3)
    patches = np.array(
        [p[i : i + 2, j : j + 2].ravel() for p in x for i in range(8) for j in range(8)]
    ).astype(np.float64)
    expected = patches.T @ patches / len(patches)
    np.testing.assert_allclose(whitening.second_moments(x, 2), expected, rtol=1e-12)


def test_second_moments_do_not_depend_on_the_chunks(monkeypatch):
    x = pictures(count=7)
    whole = whitening.second_moments(x, 2)
    monkeypatch.setattr(whitening, "CHUNK", 3)
    np.testing.assert_allclose(whitening.second_moments(x, 2), whole, rtol=1e-12)


def test_directions_without_variance_are_not_blown_up():
    x = np.zeros((4, 5, 5, 1), np.float32)
    layer = models.Whitening()
    layer.adapt(x)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(np.abs(kernel).max(), 5e-4**-0.5, rtol=1e-5)


def test_before_adapting_the_filters_are_the_pixels():
    x = pictures()
    y = outputs(models.Whitening(), x)
    for i, place in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        rows, columns = (slice(k, k + 8) for k in place)
        np.testing.assert_array_equal(y[..., 3 * i : 3 * i + 3], x[:, rows, columns])


def test_an_adapted_network_is_saved_and_loaded(tmp_path):
    network = models.build("airbench-narrow", (8, 8, 3), 3, seed=0)
    x = pictures(side=8)
    network.layers[1].adapt(x)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded.predict(x), network.predict(x))
    kernel = keras.ops.convert_to_numpy(loaded.layers[1].kernel)
    assert not np.array_equal(np.unique(kernel), [-1, 0, 1])


def test_whitening_is_not_trained_and_everything_else_is():
    network = models.build("airbench", (32, 32, 3), 10, seed=0)
    frozen = [v for v in network.non_trainable_variables if "moving" not in v.name]
    assert [tuple(v.shape) for v in frozen] == [(2, 2, 3, 24)]
    # As published, but for a bias of the whitening layer.
    widths, expected, before = (64, 256, 256), 0, 24
    for width in widths:
        expected += 9 * before * width + 9 * width**2 + 2 * width
        before = width
    expected += 256 * 10
    assert network.count_params() - 2 * 2 * 3 * 24 - 2 * 2 * sum(widths) == expected
    assert [w.shape[-1] for w in network.trainable_variables][::4] == [64, 256, 256, 10]


def test_convolutions_begin_by_passing_on_what_they_are_given():
    kernel = keras.ops.convert_to_numpy(
        PartlyIdentity(seed=0)((3, 3, 4, 10), "float32")
    )
    x = pictures(channels=4)
    y = keras.ops.convert_to_numpy(
        keras.ops.conv(x, kernel, padding="same", data_format="channels_last")
    )
    np.testing.assert_array_equal(y[..., :4], x)
    rest = kernel[..., 4:]
    limit = 1 / np.sqrt(3 * 3 * 4)
    assert np.abs(rest).max() <= limit
    # The deviation of a uniform draw, within five of its own standard errors.
    error = 5 * 0.45 / np.sqrt(rest.size)
    assert rest.std() == pytest.approx(limit / np.sqrt(3), rel=error)


def test_a_shift_is_learnt_as_many_times_as_fast_as_asked():
    moved = {}
    for rate in (1, 64):
        network = keras.Sequential([keras.Input((2,)), Shift(rate)])
        network.compile(keras.optimizers.SGD(1e-3), "mse")
        x, y = np.zeros((4, 2)), np.ones((4, 2))
        network.fit(x, y, verbose=0)
        moved[rate] = network.predict(np.zeros((1, 2)), verbose=0)[0, 0]
    assert moved[64] == pytest.approx(64 * moved[1], rel=1e-4)


def test_logits_and_whitening_are_float32_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = models.build("airbench-narrow", (8, 8, 3), 3, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    dtypes = [layer.compute_dtype for layer in network.layers]
    assert network.layers[1].compute_dtype == network.output.dtype == "float32"
    assert dtypes[2:-2] == ["bfloat16"] * len(dtypes[2:-2])


def test_fewer_filters_than_patches_pass_on_the_first_of_them():
    network = models.airbench((8, 8, 3), 3, widths=(16, 16, 16))
    kernel = keras.ops.convert_to_numpy(network.layers[3].kernel)
    assert kernel.shape == (3, 3, 24, 16)
    np.testing.assert_array_equal(kernel[1, 1], np.eye(24, 16))
    kernel[1, 1] = 0
    assert not kernel.any()
