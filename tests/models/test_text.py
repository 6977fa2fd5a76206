"""Networks of texts: rows are filled up with zeros, which must not matter."""

import keras
import numpy as np
import pytest

from keras_asgld import models
from keras_asgld.data import text as texts
from keras_asgld.models import text

NAMES = ("bag", "lstm", "transformer")


def logits(model, rows):
    return model.predict(np.array(rows, np.int32), verbose=0)


@pytest.mark.parametrize("name", NAMES)
def test_what_fills_a_row_up_changes_nothing(name):
    long = models.build(name, (6,), 3, seed=0)
    short = models.build(name, (2,), 3, seed=0)
    for one, other in zip(long.weights, short.weights, strict=True):
        other.assign(one.numpy()[:2] if one.shape != other.shape else one.numpy())
    padded, bare = logits(long, [[5, 6, 0, 0, 0, 0]]), logits(short, [[5, 6]])
    np.testing.assert_allclose(padded, bare, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_order_matters_to_all_but_the_bag(name):
    model = models.build(name, (6,), 3, seed=0)
    there, back = logits(model, [[5, 6, 7, 8, 9, 10], [10, 9, 8, 7, 6, 5]])
    assert np.allclose(there, back, atol=1e-6) == (name == "bag")


@pytest.mark.parametrize("name", NAMES)
def test_every_number_that_a_text_may_hold_has_an_embedding(name):
    assert text.VOCABULARY == texts.VOCABULARY
    model = models.build(name, (4,), 3, seed=0)
    last = texts.VOCABULARY - 1
    assert not np.allclose(*logits(model, [[last] * 4, [last - 1] * 4]))


def test_the_transformer_is_saved_and_loaded(tmp_path):
    model = models.build("transformer", (4,), 3, seed=0)
    model.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    rows = [[2, 3, 4, 0], [7, 8, 9, 10]]
    np.testing.assert_array_equal(logits(model, rows), logits(again, rows))


def test_the_autoencoder_is_narrow_in_the_middle():
    model = models.build("autoencoder", (64,), 64, seed=0)
    assert model.output_shape == (None, 64)
    assert model.get_layer("code").output.shape == (None, 8)
    # Nothing but the code reaches the outputs: its changes span eight dimensions.
    rows = np.random.default_rng(0).standard_normal((200, 64)).astype("float32")
    code = keras.Model(model.input, model.get_layer("code").output)
    assert np.linalg.matrix_rank(code.predict(rows, verbose=0)) == 8
