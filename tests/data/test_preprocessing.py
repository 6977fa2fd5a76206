import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_asgld.data.preprocessing import Preprocessing, shrink

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def preprocessing(size=32, padding=4, mirror=True):
    return Preprocessing(255.0, MEAN, STD, size, padding, mirror)


def numbered(count, size, channels=1):
    """Pictures none of whose pixels is black and whose neighbours all differ."""
    values = np.random.RandomState(0).randint(1, 256, (count, size, size, channels))
    return values.astype(np.uint8)


def test_augment_cuts_and_mirrors_as_drawn():
    pictures = numbered(6, 8, 3)
    draws = np.array(
        [[0, 0, 0], [2, 2, 0], [2, 2, 1], [4, 1, 0], [3, 4, 1], [0, 3, 1]], np.int32
    )
    got = convert_to_numpy(preprocessing(8, 2).augment(pictures, draws))
    padded = np.pad(pictures, [(0, 0), (2, 2), (2, 2), (0, 0)])
    for picture, (top, left, mirrored), result in zip(padded, draws, got, strict=True):
        crop = picture[top : top + 8, left : left + 8]
        np.testing.assert_array_equal(result, crop[:, ::-1] if mirrored else crop)
    np.testing.assert_array_equal(got[1], pictures[1])
    np.testing.assert_array_equal(got[2], pictures[2, :, ::-1])


def test_without_augmentation_pictures_pass_unchanged():
    pictures = numbered(20, 8)
    plain = preprocessing(8, 0, False)
    assert plain.ways == (1, 1, 1)
    draws = np.zeros((20, 3), np.int32)
    np.testing.assert_array_equal(plain.augment(pictures, draws), pictures)


def test_normalise_against_float64():
    pictures = numbered(4, 32, 3)
    expected = (pictures / 255.0 - np.array(MEAN)) / np.array(STD)
    got = convert_to_numpy(preprocessing().normalise(pictures))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [4, 16])
def test_shrink_averages(size):
    pictures = numbered(3, 32, 3)
    block = 32 // size
    blocks = pictures.reshape(3, size, block, size, block, 3).astype(np.float64)
    np.testing.assert_array_equal(shrink(pictures, size), np.rint(blocks.mean((2, 4))))


def test_shrink_shares_out_pixels_that_lie_across():
    pictures = numbered(2, 10, 3)
    fine = pictures.repeat(4, 1).repeat(4, 2).astype(np.float64)  # 40 is 4 x 10, 8 x 5
    expected = fine.reshape(2, 8, 5, 8, 5, 3).mean((2, 4))
    assert np.abs(shrink(pictures, 8) - expected).max() <= 0.5


def test_shrink_leaves_small_pictures_to_be_enlarged_in_the_batch():
    pictures = np.full((2, 8, 8, 3), 51, np.uint8)
    assert shrink(pictures, 24) is pictures
    got = convert_to_numpy(preprocessing(24).normalise(pictures))
    assert got.shape == (2, 24, 24, 3)
    np.testing.assert_allclose(
        got[0, 5, 7], (0.2 - np.array(MEAN)) / np.array(STD), rtol=1e-5
    )
