"""PyTorch: what a step starts, its passes in place, and steps that are compiled."""

import threading

import keras
import numpy as np
import pytest
from keras import ops

from keras_asgld import ASGLD, backend
from keras_asgld.optimizers import packing

pytestmark = pytest.mark.skipif(backend.NAME != "torch", reason="is about PyTorch")

# ResNet-34's: those of its stem and four stages of blocks, and of its head.
STAGES = [(3, 64, 64), (4, 64, 128), (6, 128, 256), (3, 256, 512)]


def resnet34_shapes():
    shapes = [(3, 3, 3, 64), (64,), (64,)]
    for blocks, entering, width in STAGES:
        for block in range(blocks):
            before = width if block else entering
            shapes += [(3, 3, before, width), (width,), (width,)]
            shapes += [(3, 3, width, width), (width,), (width,)]
            if before != width:
                shapes += [(1, 1, before, width), (width,), (width,)]
    return [*shapes, (512, 10), (10,)]


def operations_of(step):
    """How many operations a step starts that are more than another view of a tensor."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):
        started = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            aliases = [each.alias_info for each in function._schema.returns]
            views = any(alias and not alias.is_write for alias in aliases)
            self.started += not views
            return function(*args, **(kwargs or {}))

    with Counter() as counter:
        step()
    return counter.started


def test_a_step_on_a_gpu_starts_few_operations(monkeypatch):
    # Counted on a CPU, where the groups are chosen as on a GPU.
    monkeypatch.setattr(backend.chosen, "_is_on_gpu", lambda tensor: True)
    shapes = resnet34_shapes()
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in shapes]
    gradients = [keras.ops.ones(shape) for shape in shapes]
    optimizer = ASGLD(0.1, seed=0)
    optimizer.build(variables)

    def step():
        optimizer.apply(gradients, variables)

    # A first step records the rule, which no count shows; those that follow do not.
    step()
    programs = dict(backend.chosen._programs)
    assert operations_of(step) <= 120
    assert backend.chosen._programs == programs
    moved = [keras.ops.convert_to_numpy(variable) for variable in variables]
    assert all(np.abs(value).min() > 0 for value in moved)


def operations_of_a_step(optimizer, size):
    variable = keras.Variable(np.zeros(size, "float32"))
    optimizer.build([variable])
    step = lambda: optimizer.apply([keras.ops.ones(size)], [variable])  # noqa: E731
    step()
    return operations_of(step)


def test_a_part_of_a_variable_takes_few_passes(member):
    # Each is a pass over memory: of the noise 42, of the rules 3 to 16.
    one, two = (operations_of_a_step(member(), n * packing.BUDGET) for n in (1, 2))
    assert two - one <= (53 if member.name == "ASGLD" else 60)
    # What a step starts besides, whatever it moves.
    assert one - (two - one) <= 36


def in_place(function, state, numbers=()):
    """What the function makes of the state, and what becomes of this."""
    expected = function(state, [], [], numbers)
    state = [ops.copy(x) for x in state]
    backend.elementwise(function)(state, [], [], numbers)
    return zip(expected, state, strict=True)


def crossed(state, others, spare, numbers):
    a, b = state
    return [b - a, a * 2.0 + b]


def exchanged(state, others, spare, numbers):
    a, b = state
    return [b, a]


def as_one(state, others, spare, numbers):
    a, b = state
    both = a * b + 1.0
    return [both, both]


def sorted_too(state, others, spare, numbers):
    a, b = state
    return [ops.sort(a) + b, b]


@pytest.mark.parametrize("function", [crossed, exchanged, as_one, sorted_too])
def test_no_value_is_written_over_that_is_needed_later(function):
    rng = np.random.default_rng(0)
    a, b = (ops.convert_to_tensor(rng.random((3, 5)), "float32") for _ in range(2))
    for expected, got in in_place(function, [a, b]):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_step_goes_by_its_own_numbers():
    scaled = lambda state, others, spare, numbers: [state[0] * (numbers[0] + 1)]  # noqa: E731
    for number in (1.0, 5.0):
        state = [ops.ones((2, 3))]
        [(expected, got)] = in_place(scaled, state, (ops.convert_to_tensor(number),))
        np.testing.assert_array_equal(got, expected)


def test_threads_do_not_share_what_is_between_two_passes():
    import torch

    from keras_asgld.backend import kept

    found = []
    take = lambda: found.append(kept.buffers((torch.float32,), ops.ones((2, 3))))  # noqa: E731
    take()
    take()
    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    mine, again, other = (buffer.data_ptr() for [buffer] in found)
    assert mine == again != other


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Dynamo, about Keras's own code
def test_a_compiled_model_with_a_large_layer_trains_as_one_that_is_not():
    weights = []
    for jit_compile in (False, True):
        # More weights than a part of a variable has.
        layer = keras.layers.Dense(300, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((512,)), layer])
        model.compile(ASGLD(1e-3, seed=1), loss="mse", jit_compile=jit_compile)
        model.fit(np.ones((4, 512)), np.ones((4, 300)), epochs=2, verbose=0)
        weights.append(model.get_weights())
    for compiled, eager in zip(*weights, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)
    assert np.abs(weights[1][0] - 1).min() > 0
