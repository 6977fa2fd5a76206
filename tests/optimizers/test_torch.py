"""PyTorch: what a step starts on a GPU, and steps that `torch.compile` compiles."""

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD, backend

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
    assert operations_of(lambda: optimizer.apply(gradients, variables)) <= 120
    moved = [keras.ops.convert_to_numpy(variable) for variable in variables]
    assert all(np.abs(value).min() > 0 for value in moved)


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
