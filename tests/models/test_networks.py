import functools

import keras
import numpy as np
import pytest

from keras_asgld import models
from keras_asgld.models.blocks import convolution


def size(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


@functools.cache
def built(name):
    shape = (8, 8, 1) if name == "digits" else (32, 32, 3)
    return models.build(name, shape, 10, seed=0)


@pytest.mark.parametrize(
    "name, trainable, statistics, tensors",
    [
        # Counted in the networks the paper trained.
        ("resnet34", 21_282_122, 17_024, 110),
        ("densenet121", 6_956_298, 83_520, 362),
    ],
)
def test_the_papers_networks_have_the_papers_sizes(
    name, trainable, statistics, tensors
):
    model = built(name)
    assert size(model.trainable_variables) == trainable
    assert size(model.non_trainable_variables) == statistics
    assert len(model.trainable_variables) == tensors


@pytest.mark.parametrize("depth", [8, 20, 32])
def test_cifar_family_has_n_blocks_in_each_of_three_stages(depth):
    n = (depth - 2) // 6
    expected = 9 * 3 * 16 + 2 * 16  # the stem
    before = 16
    for filters in (16, 32, 64):
        convolutions = 9 * before * filters + (2 * n - 1) * 9 * filters**2
        projection = before * filters + 2 * filters if before != filters else 0
        expected += convolutions + 2 * n * 2 * filters + projection
        before = filters
    expected += 64 * 10 + 10
    model = models.resnet(depth)
    assert size(model.trainable_variables) == expected
    kernels = [w for w in model.trainable_variables if w.shape[0] == 3]
    assert len(kernels) == depth - 1  # and the dense layer


def test_small_networks_have_the_documented_sizes():
    assert size(built("digits").trainable_variables) == 24_058
    assert size(built("cnn").trainable_variables) == 288_746


@pytest.mark.parametrize("depth", [7, 9, 2, 21, 34.0, "34", None])
def test_resnet_refuses_other_depths(depth):
    with pytest.raises(ValueError, match=r"`depth` .* Received: depth="):
        models.resnet(depth)


def test_densenet_refuses_other_depths():
    with pytest.raises(ValueError, match=r"`depth` .* Received: depth=120"):
        models.densenet(120)


def test_strided_convolutions_are_padded_alike_on_every_side():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, convolution(inputs, 1, 3, 2))
    model.set_weights([np.ones((3, 3, 1, 1))])
    picture = np.arange(1.0, 17).reshape(1, 4, 4, 1)
    # Windows are centred on rows and columns 0 and 2 of 1 … 16.
    expected = [[1 + 2 + 5 + 6, 2 + 3 + 4 + 6 + 7 + 8], [5 + 6 + 9 + 10 + 13 + 14, 99]]
    np.testing.assert_allclose(model.predict(picture, verbose=0)[0, ..., 0], expected)


@pytest.mark.parametrize("name", ["resnet34", "densenet121", "digits", "cnn"])
def test_layers_follow_the_protocol(name):
    for layer in built(name).layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
        if isinstance(layer, keras.layers.Conv2D):
            assert not layer.use_bias
            kernel = layer.get_weights()[0]
            deviation = np.sqrt(2 / np.prod(kernel.shape[:3]))
            # The tails cut at two deviations: kurtosis below 3, hence below this error.
            error = deviation / np.sqrt(2 * kernel.size)
            assert abs(kernel.std() - deviation) < 5 * error


@pytest.mark.parametrize(
    "name, input_shape",
    [
        ("digits", (8, 8, 1)),
        ("cnn", (16, 16, 3)),
        ("resnet18", (32, 32, 3)),
        ("resnet14", (17, 17, 1)),
    ],
)
def test_forward_gives_one_logit_a_class(name, input_shape):
    model = models.build(name, input_shape, 7, seed=0)
    pictures = np.random.RandomState(0).normal(size=(5, *input_shape))
    logits = model.predict(pictures.astype(np.float32), verbose=0)
    assert logits.shape == (5, 7)
    assert np.isfinite(logits).all()
    assert (logits < 0).any() and not np.allclose(logits.sum(1), 1)


def test_logits_stay_float32_under_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.resnet(8, (8, 8, 3))
    finally:
        keras.config.set_dtype_policy(policy)
    assert model.output.dtype == "float32"
    assert model.layers[1].compute_dtype == "bfloat16"


def test_digits_network_learns_the_digits():
    from keras_asgld import data

    digits = data.load("digits", batch_size=64)
    model = models.build("digits", digits.input_shape, digits.num_classes, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.fit(
        digits.train(),
        epochs=8,
        steps_per_epoch=digits.steps_per_epoch,
        shuffle=False,
        verbose=0,
    )
    assert model.evaluate(digits.test(), verbose=0)[1] >= 0.96
