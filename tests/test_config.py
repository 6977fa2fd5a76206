"""The package's own compilation: its switch, and where it is off by itself."""

import keras
import numpy as np
import pytest

import keras_asgld
from keras_asgld import backend
from tests.support import processes
from tests.support.family import Member, as_numpy, typical_members

tensorflow_only = pytest.mark.skipif(
    backend.NAME != "tensorflow", reason="is about TensorFlow's own graphs"
)
SHAPES = [(5,), (4, 3), (200, 300)]


@pytest.fixture
def switched_off():
    keras_asgld.config.disable_compilation()
    yield
    keras_asgld.config.enable_compilation()


def moved(member, in_graph=False):
    """Variables after four steps of the optimizer, and the noise of the last."""
    rng = np.random.default_rng(0)
    draw = lambda s: rng.standard_normal(s).astype("float32")  # noqa: E731
    variables = [keras.Variable(draw(s)) for s in SHAPES]
    gradients = [keras.ops.convert_to_tensor(draw(s)) for s in SHAPES]
    optimizer = member()
    optimizer.build(variables)
    step = lambda: optimizer.apply(gradients, variables)  # noqa: E731
    if in_graph:
        import tensorflow as tf

        step = tf.function(step, autograph=False)
    for _ in range(4):
        step()
    noise = [as_numpy(optimizer.standard_normal(v, 3)) for v in variables]
    return [as_numpy(v) for v in variables], noise


@pytest.mark.parametrize("name", typical_members())
@pytest.mark.parametrize("in_graph", [False, pytest.param(True, marks=tensorflow_only)])
def test_uncompiled_updates_are_the_compiled_ones(name, in_graph, request):
    values, noise = moved(Member(name), in_graph)
    request.getfixturevalue("switched_off")
    others, same = moved(Member(name), in_graph)
    for a, b in zip(noise, same, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(values, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@tensorflow_only
@pytest.mark.parametrize("off", [False, True])
def test_nothing_is_compiled_where_the_switch_is_off(off, request):
    import tensorflow as tf

    if off:
        request.getfixturevalue("switched_off")
    variables = [keras.Variable(np.ones(s, "float32")) for s in SHAPES]
    optimizer = Member("ASGLD")()
    optimizer.build(variables)
    step = tf.function(lambda: optimizer.apply([tf.ones(s) for s in SHAPES], variables))
    library = step.get_concrete_function().graph.as_graph_def().library
    compiled = [f for f in library.function if f.attr["_XlaMustCompile"].b]
    assert bool(compiled) is not off


def test_the_environment_switches_it_off():
    off = {"KERAS_ASGLD_COMPILATION": "0"}
    assert processes.finish(processes.start("compilation", environment=off)) == "off\n"


@pytest.mark.slow
@tensorflow_only
def test_training_under_numeric_checks_finds_the_first_bad_number():
    printed = processes.finish(processes.start("numeric_checks"))
    assert printed == "trained\nfound\n"


@tensorflow_only
def test_optimizers_go_on_in_a_context_that_was_reset():
    assert processes.finish(processes.start("reset_context")) == "moved\nmoved\n"
