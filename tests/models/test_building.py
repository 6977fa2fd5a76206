import random

import keras
import numpy as np
import pytest

from keras_asgld import models

MOBILE = ("applications/MobileNetV2", (32, 32, 3))


@pytest.mark.parametrize(
    "name, input_shape", [("digits", (8, 8, 1)), ("resnet8", (8, 8, 3)), MOBILE]
)
def test_initial_weights_are_a_function_of_the_seed(name, input_shape):
    before = random.getstate()
    first, again, other = (
        models.build(name, input_shape, 10, seed=seed).get_weights()
        for seed in (3, np.int64(3), 4)
    )
    assert random.getstate() == before
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        drawn = one.std() > 0 and one.ndim > 1
        assert not drawn or not np.array_equal(one, three)


def test_equal_kernels_of_one_network_start_differently():
    weights = models.build("resnet14", (8, 8, 3), 10, seed=0).get_weights()
    equal = [w for w in weights if w.shape == (3, 3, 64, 64)]
    assert len(equal) == 3
    assert not np.array_equal(equal[0], equal[1])


def test_without_a_seed_weights_follow_keras():
    def kernel():
        return models.build("digits", (8, 8, 1), 10).get_weights()[0]

    assert not np.array_equal(kernel(), kernel())
    keras.utils.set_random_seed(5)
    first = kernel()
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(first, kernel())


@pytest.mark.parametrize("name", [n for n in models.MODELS if "densenet" not in n])
def test_every_name_builds(name):
    shape = (8,) if name in ("bag", "lstm", "transformer") else (8, 8, 1)
    returned = (8, 8, 3) if name == "autoencoder" else (3,)
    assert models.build(name, shape, 3).output_shape == (None, *returned)


@pytest.mark.parametrize(
    "name, hint",
    [
        ("resnet_34", "Did you mean 'resnet34'?"),
        ("applications/MobilNetV2", "Did you mean 'applications/MobileNetV2'?"),
        ("applications/mobilenet_v2", "densenet121"),
        ("applications/", "resnet34"),
        (None, "cnn"),
        (34, "digits"),
    ],
)
def test_unknown_name_is_answered_with_the_choices(name, hint):
    with pytest.raises(ValueError, match=r"`name` .* Received: name=") as error:
        models.build(name, (32, 32, 3), 10)
    assert hint in str(error.value)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True])
def test_seed_must_be_a_non_negative_integer(seed):
    with pytest.raises(ValueError, match=r"`seed` .* Received: seed="):
        models.build("digits", (8, 8, 1), 10, seed=seed)


def test_weights_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match=r"`weights` .* Received: weights='imagenet'"):
        models.build("resnet20", (32, 32, 3), 10, weights="imagenet")


@pytest.mark.parametrize(
    "name, expected",
    [
        ("MobileNetV2", lambda pixels: pixels / 127.5 - 1),
        ("ResNet50", lambda p: p[..., ::-1] - np.array([103.939, 116.779, 123.68])),
        (
            "DenseNet121",
            lambda p: (p / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        ),
        ("EfficientNetV2B0", lambda pixels: pixels),
    ],
)
def test_applications_meet_the_pixels_they_expect(name, expected, monkeypatch):
    # A trunk that hands on its input shows what the real one would see.
    def trunk(include_top, weights, input_shape, pooling):
        inputs = keras.Input(input_shape)
        return keras.Model(inputs, keras.layers.Flatten()(inputs))

    monkeypatch.setattr(keras.applications, name, trunk)
    mean, std = (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)
    model = models.build(f"applications/{name}", (4, 4, 3), 48, mean=mean, std=std)
    model.layers[-1].set_weights([np.eye(48), np.zeros(48)])
    pixels = np.random.RandomState(0).randint(0, 256, (2, 4, 4, 3))
    inputs = (pixels / 255 - np.array(mean)) / np.array(std)
    seen = model.predict(inputs.astype(np.float32), verbose=0).reshape(pixels.shape)
    np.testing.assert_allclose(seen, expected(pixels), rtol=1e-4, atol=1e-3)


def test_applications_take_a_weights_file_and_survive_saving(tmp_path):
    name, shape = MOBILE
    trunk = keras.applications.MobileNetV2(
        shape, include_top=False, weights=None, pooling="avg"
    )
    path = tmp_path / "trunk.weights.h5"
    trunk.save_weights(path)
    model = models.build(name, shape, 10, weights=str(path), mean=0.5, std=0.25)
    for ours, theirs in zip(model.get_weights(), trunk.get_weights(), strict=False):
        np.testing.assert_array_equal(ours, theirs)
    model.save(tmp_path / "model.keras")
    pictures = np.random.RandomState(0).normal(size=(2, *shape)).astype(np.float32)
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras")(pictures), model(pictures)
    )
