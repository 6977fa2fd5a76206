"""Small variables that are updated together move as they would alone."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_asgld import ASGLD, backend, noise, rules
from keras_asgld.optimizers import packing, step

SHAPES = [(5,), (3, 3, 4, 40), (), (256,), (0,), (257,), (2, 300)]
BACKEND = keras.backend.backend()


def members(dtype="float32"):
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.standard_normal(s), dtype=dtype) for s in SHAPES]


KIND = step.Kind(rules.sgld, "float32", True)


def packed(*states):
    """The group of variables, each with the slots that follow in the lists."""
    targets = [
        step.Target(KIND, index, list(state))
        for index, state in enumerate(zip(*states, strict=True))
    ]
    return step.Packed(targets, list(range(len(targets))))


def train(steps=4, dtype="float32", exclude=()):
    variables = members(dtype)
    optimizer = ASGLD(0.1, seed=3)
    optimizer.exclude_from_noise(var_list=[variables[i] for i in exclude])
    optimizer.build(variables)
    rng = np.random.default_rng(1)
    for _ in range(steps):
        gradients = [rng.standard_normal(s).astype("float32") for s in SHAPES]
        optimizer.apply([ops.cast(g, dtype) for g in gradients], variables)
    slots = [slot for v in variables for slot in optimizer.slots(v)]
    state = [*variables, *slots]
    return [ops.convert_to_numpy(ops.cast(v, "float32")) for v in state]


def test_unpack_gives_back_what_was_packed():
    variables, slots = members(), members()
    values = [ops.convert_to_numpy(variable) for variable in variables]
    group = packed(variables, slots)
    matrix = group.gather(variables)
    assert tuple(matrix.shape) == (len(group.rows), packing.WIDTH)
    update = ops.convert_to_tensor(4, "int32")
    group.scatter([3 * matrix, 2 * matrix], update)
    for value, variable, slot in zip(values, variables, slots, strict=True):
        found, kept = ops.convert_to_numpy(variable), ops.convert_to_numpy(slot)
        np.testing.assert_array_equal(np.float32(3) * value, found)
        np.testing.assert_array_equal(np.float32(2) * value, kept)


def test_rows_hold_the_noise_of_their_variables():
    words = noise.noise_words(7, len(SHAPES))
    variables = members()
    group = packed(variables)
    update = ops.convert_to_tensor(11, "int32")
    keys = noise.noise_key(ops.convert_to_tensor(words[group.rows].T), update)
    key = [each[:, None] for each in keys]
    starts = ops.convert_to_tensor(group.starts)[:, None]
    rows = noise.normal_at(*key, noise.places(key, starts, packing.WIDTH))
    group.scatter([rows], update)
    for row, shape, value in zip(words, SHAPES, variables, strict=True):
        key = noise.noise_key(ops.convert_to_tensor(row), update)
        alone = noise.normal(key, shape)
        np.testing.assert_array_equal(
            ops.convert_to_numpy(alone), ops.convert_to_numpy(value)
        )


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_together_is_as_alone(dtype, monkeypatch):
    if BACKEND == "jax" and dtype == "float64":
        pytest.skip("JAX has float64 only where it is switched on")
    together = train(dtype=dtype, exclude=(0, 5))
    monkeypatch.setattr(backend, "may_pack", lambda: False)
    monkeypatch.setattr(backend, "may_cut", lambda variable: False)
    alone = train(dtype=dtype, exclude=(0, 5))
    # Compilers contract a * b + c where they like, so not always to the bit.
    atol = 0.02 if dtype == "bfloat16" else 1e-6
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=atol, atol=atol)


@pytest.mark.skipif(BACKEND != "torch", reason="the others update variables whole")
def test_pieces_of_a_variable_are_the_variable(monkeypatch):
    monkeypatch.setattr(backend, "may_pack", lambda: False)
    monkeypatch.setattr(backend, "may_cut", lambda variable: False)
    whole = train()
    monkeypatch.undo()
    monkeypatch.setattr(packing, "BUDGET", 256)
    counts = [len(packing.begins(math.prod(shape))) for shape in SHAPES]
    assert counts == [1, 6, 1, 1, 0, 2, 3]
    for a, b in zip(whole, train(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(BACKEND != "torch", reason="the others update variables whole")
def test_a_piece_counts_its_elements_modulo_two_to_the_32():
    for begin in (0, 5, 2**31 - 1, 2**31, 2**32 - 128):
        start = ops.convert_to_tensor(step.wrapped([begin])[:, None])
        w = noise.places((start, start), start, 128)
        expected = (begin + np.arange(128)) * 0x9E3779B9 % 2**32
        np.testing.assert_array_equal(
            ops.convert_to_numpy(w).view("uint32"), [expected]
        )


@pytest.mark.skipif(BACKEND != "torch", reason="is about torch.compile")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to")  # to a cached function
def test_a_step_that_torch_compiles_takes_variables_whole():
    import torch

    moved = []
    for compile in (lambda step: step, torch.compile(backend="aot_eager")):
        variable = keras.Variable(np.ones((600, 300), "float32"))
        optimizer = ASGLD(0.1, seed=3)
        optimizer.build([variable])
        gradient = ops.full((600, 300), 0.5)
        compile(lambda: optimizer.apply([gradient], [variable]))()  # noqa: B023
        moved.append(ops.convert_to_numpy(variable))
    np.testing.assert_allclose(*moved, rtol=1e-6)
    assert np.any(moved[0] != 1)


def test_the_smallest_of_a_kind_are_chosen():
    shapes = [(2**18,), (300,), (7,), (5,), (9, 9)]
    assert packing.choose(shapes, "aaaab") == [[3, 2, 1]]
    assert packing.choose([(3,)], "a") == []


def test_groups_keep_to_the_budget(monkeypatch):
    monkeypatch.setattr(packing, "BUDGET", 512)
    shapes = [(256,), (128,), (200,), (513,), (384,), (130,), (9,)]
    expected = [[6, 1, 5]]
    if BACKEND == "torch":  # where all are put together but what is larger
        expected = [[6, 1, 5], [2, 0]]
    assert packing.choose(shapes, "a" * 7) == expected
    # Four rows of 128 are the budget.
    expected = [[0, 1, 2, 3]] + [[4, 5]] * (BACKEND == "torch")
    assert packing.choose([(100,)] * 6, "a" * 6) == expected


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch packs all that it can")
def test_no_more_than_a_twentieth_of_the_weights_is_copied():
    shapes = [(1000, 100)] + [(128,)] * 100
    [together] = packing.choose(shapes, "a" * 101)
    # 112,800 weights.
    assert together == list(range(1, 45))
    # Of a tiny network all that fits into 2**12 elements.
    shapes = [(50, 60), (60,), (60, 10), (10,)]
    assert packing.choose(shapes, "aaaa") == [[3, 1, 2, 0]]


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch compiles nothing")
def test_a_compiled_step_compiles_the_noise_of_small_variables_once():
    variables = [keras.Variable(np.ones(100 + i, "float32")) for i in range(20)]
    gradients = [ops.ones(v.shape) for v in variables]
    optimizer = ASGLD(seed=0)
    optimizer.build(variables)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        step = tf.function(
            lambda: optimizer.apply(gradients, variables),
            jit_compile=True,
            autograph=False,
        )
        step()
        program = step.experimental_get_compiler_ir()(stage="optimized_hlo")
    else:
        import jax

        state = [v.value for v in optimizer.variables]
        step = jax.jit(
            lambda state, values: optimizer.stateless_apply(state, gradients, values)
        )
        program = step.lower(state, [v.value for v in variables]).compile().as_text()
    # A mask of the noise, which its key has no need of.
    assert program.count(f"constant({0x007FFFFF})") == 1


@pytest.mark.skipif(BACKEND == "torch", reason="Keras does not distribute on PyTorch")
def test_variables_on_several_devices_are_not_packed():
    assert packing.choose([(3,), (4,)], "aa") == [[0, 1]]
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
            assert packing.choose([(3,), (4,)], "aa") == []
    else:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        try:
            assert packing.choose([(3,), (4,)], "aa") == []
        finally:
            keras.distribution.set_distribution(None)
