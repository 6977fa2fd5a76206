"""Variables and gradients of all kinds."""

import keras
import numpy as np
import pytest

from keras_asgld import backend
from tests.support import reference
from tests.support.family import FAMILY, Member, as_numpy, check, run


def fast(*names):
    """The family, of which all but these are tried where time is no matter."""
    return [
        n if n in names else pytest.param(n, marks=pytest.mark.slow) for n in FAMILY
    ]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_variables_have_float32_slots(member, start, gradients, dtype):
    optimizer, gradients = member(), gradients[:30]
    variable, values = run(optimizer, start, gradients, dtype)
    assert variable.dtype == dtype
    assert {slot.dtype for slot in optimizer.slots(variable)} <= {"float32"}
    rounded = keras.ops.convert_to_tensor(gradients, dtype)
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(rounded, "float32"))
    states = reference.trajectory(optimizer, start, rounded, **member.numbers)
    for slot, expected in zip(optimizer.slots(variable), states[-1][1:], strict=True):
        np.testing.assert_allclose(as_numpy(slot), expected, rtol=1e-4, atol=1e-5)
    # One rounding of the weights a step, each of half a unit in the last place.
    spacing = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    bound = spacing * np.abs(values.astype("float32")).max() * np.sqrt(30) * 4
    difference = values[-1].astype("float64") - states[-1][0]
    assert np.abs(difference).max() < bound


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (1, 1, 5)])
def test_unusual_shapes(member, shape):
    rng = np.random.default_rng(0)
    start = rng.normal(size=shape).astype("float32")
    gradients = rng.normal(size=(5, *shape)).astype("float32")
    optimizer = member()
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, gradients)


@pytest.mark.parametrize(
    ("shapes", "wrong"),
    [
        ([(2, 3), (1,)], (6,)),  # packed together
        ([(3, 1), (1,)], (1, 3)),
        ([(3,)], ()),  # alone
        ([(400, 500)], (500, 400)),  # in pieces on PyTorch
        ([(400, 500)], (1, 500)),
    ],
)
def test_a_gradient_of_another_shape_is_refused_and_changes_nothing(
    member, shapes, wrong
):
    optimizer = member(weight_decay=0.1)
    variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
    optimizer.build(variables)
    gradients = [keras.ops.ones(shape) for shape in [wrong, *shapes[1:]]]
    with pytest.raises(ValueError, match=r"`grads` must have.*Received: shape=\("):
        optimizer.apply(gradients, variables)
    with pytest.raises(ValueError, match="`grads` must have"):
        optimizer.apply(gradients)
    assert all(np.all(as_numpy(variable) == 1) for variable in variables)
    assert int(optimizer.iterations) == 0


def test_variables_without_a_gradient_stay(member, start):
    variables = [keras.Variable(start, name=n) for n in ("a", "b")]
    optimizer = member()
    optimizer.build(variables)
    gradient = keras.ops.convert_to_tensor(start)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([gradient, None], variables)
    np.testing.assert_array_equal(as_numpy(variables[1]), start)
    assert (as_numpy(variables[0]) != start).all()


# Each of the family is tried fast either alone or, below, beside others.
@pytest.mark.parametrize("name", fast("SGLD", "SGHMC", "BAOA"))
def test_embeddings_train(name):
    member = Member(name)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,), dtype="int32"), keras.layers.Embedding(50, 4)]
    )
    before = as_numpy(model.trainable_variables[0])
    model.compile(optimizer=member(), loss="mse")
    x = np.arange(30).reshape(10, 3) % 20
    model.fit(x, np.ones((10, 3, 4)), epochs=2, batch_size=5, verbose=0)
    after = as_numpy(model.trainable_variables[0])
    assert (after[:20] != before[:20]).all()
    assert np.isfinite(after).all()


@pytest.mark.parametrize("name", fast("ASGLD", "ScaleFreeASGLD", "PSGLD", "SGNHT"))
def test_embeddings_train_beside_others_under_loss_scaling(name):
    member = Member(name)
    # A sparse gradient of unknown length, in a branch, packed with others.
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(50, 4),
            keras.layers.Dense(2),
        ]
    )
    before = [as_numpy(v) for v in model.trainable_variables]
    model.compile(keras.optimizers.LossScaleOptimizer(member()), loss="mse")
    x = np.arange(30).reshape(10, 3) % 20
    model.fit(x, np.ones((10, 3, 2)), epochs=2, batch_size=5, verbose=0)
    for variable, start in zip(model.trainable_variables, before, strict=True):
        after = as_numpy(variable)
        assert np.isfinite(after).all()
        assert (after != start)[:20].all()


@pytest.mark.parametrize(
    "dtype", ["complex64", "int32", "int8", "uint8", "bool", "float8_e4m3fn"]
)
def test_a_dtype_without_noise_is_refused_by_name(member, dtype):
    good = keras.Variable(np.ones(3, "float32"))
    if backend.NAME == "torch" and dtype in ("int32", "int8", "uint8", "bool"):
        pytest.skip("PyTorch itself refuses that they are trainable")
    variable = keras.Variable(np.ones(3), dtype=dtype, name="odd")
    optimizer = member()
    with pytest.raises(ValueError, match=rf"dtype in float16.*'odd' of dtype {dtype}"):
        optimizer.apply([keras.ops.ones((3,))] * 2, [good, variable])
    assert not optimizer.built
    np.testing.assert_array_equal(as_numpy(good), 1)
