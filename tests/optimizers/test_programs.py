"""What the compiled step does to memory: it works in place and stores no noise."""

import contextlib
import re

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD

BACKEND = keras.backend.backend()
tensorflow_only = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="reads TensorFlow's programs and buffers"
)
jax_only = pytest.mark.skipif(BACKEND != "jax", reason="asks JAX's compiler")
# Above the size of variables that are packed together.
SHAPE = (600, 500)
BYTES = 4 * 600 * 500
LOOP = "-> f32[600,500] {"


@pytest.fixture
def lean(member):
    """An optimizer whose rule needs the noise for one of its results alone."""
    if member.name == "BAOA":
        pytest.skip("position and momentum both hold its noise, which XLA makes twice")
    return member


def built(member, count=1):
    variables = [keras.Variable(np.full(SHAPE, 0.5, "float32")) for _ in range(count)]
    optimizer = member()
    optimizer.build(variables)
    return optimizer, variables


def jitted(member, shapes):
    """The optimizer and its step on variables of these shapes, compiled by JAX."""
    import jax

    variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
    optimizer = member()
    optimizer.build(variables)
    step = jax.jit(
        lambda values, state, g: optimizer.stateless_apply(state, g, values),
        donate_argnums=(0, 1),
    )
    state = [v.value for v in variables], [v.value for v in optimizer.variables]
    gradients = [np.ones(shape, "float32") for shape in shapes]
    return optimizer, step.lower(*state, gradients).compile()


@jax_only
def test_a_jitted_step_works_in_place_and_stores_no_noise(lean):
    optimizer, step = jitted(lean, [SHAPE])
    memory = step.memory_analysis()
    tensors = 1 + len(optimizer.slot_names)
    assert memory.alias_size_in_bytes >= tensors * BYTES
    assert memory.temp_size_in_bytes < BYTES / 100


@jax_only
def test_a_small_networks_jitted_step_copies_a_twentieth_of_it(lean):
    _, step = jitted(lean, [(300, 300)] + [(128,)] * 60)
    memory = step.memory_analysis()
    # The rest is the keys.
    assert memory.temp_size_in_bytes < 0.055 * memory.argument_size_in_bytes


@jax_only
def test_a_jitted_step_counts_no_matrix_along_one_axis(member):
    # XLA would count in 64 bits, at half the speed on some processors.
    _, step = jitted(member, [SHAPE, (30, 20, 1000)])
    counts = re.findall(r" = s32\[(\S*)\]\S* iota\(", step.as_text())
    assert counts
    assert max(int(size) for shape in counts for size in shape.split(",")) <= 1000


@jax_only
def test_a_jitted_step_has_alike_loops_for_variables_of_one_shape(lean):
    # Six that are updated alone, and twenty that are packed together.
    optimizer, step = jitted(lean, [SHAPE] * 6 + [(300,)] * 20)
    program = step.as_text()
    loops = [
        nameless(computation)
        for computation in program.split("\n\n")
        if re.match(r"\n?%(fused|wrapped)_", computation)
    ]
    noisy = [x for x in loops if f"constant({0x735A2D97})" in x and LOOP in x]
    unpacking = [x for x in loops if "-> f32[300] {" in x]
    assert len(noisy) == 6
    assert len(unpacking) == 20 * (1 + len(optimizer.slot_names))
    # XLA compiles loops that are alike once. It may order their arguments in two ways.
    assert len(set(noisy)) <= 2
    assert len(set(unpacking)) == 1


def nameless(computation):
    """A computation of HLO with its names replaced by their order."""
    names = {}
    text = re.sub(r", metadata=\{[^}]*\}", "", computation)
    text = re.sub(r"%[\w.-]+", lambda m: names.setdefault(m[0], f"%{len(names)}"), text)
    return re.sub(r"([(,] ?)[\w.]+: ", r"\1", text)


@tensorflow_only
def test_an_xla_step_has_alike_loops_and_is_compiled_once(lean):
    import tensorflow as tf

    optimizer, variables = built(lean, count=6)
    gradients = [tf.ones(SHAPE)] * 6
    step = tf.function(
        lambda: optimizer.apply(gradients, variables), jit_compile=True, autograph=False
    )
    step()
    read = step.experimental_get_compiler_ir()
    program = read(stage="optimized_hlo").split("\n\n")
    noisy = [x for x in program if f"constant({0x735A2D97})" in x and LOOP in x]
    assert len(noisy) == 6
    assert len({nameless(x) for x in noisy}) <= 2
    # Another update does not make it another program.
    before = read(stage="hlo")
    step()
    assert read(stage="hlo") == before


@tensorflow_only
def test_an_xla_step_makes_one_loop_a_tensor_and_no_copy(lean):
    import tensorflow as tf

    optimizer, variables = built(lean)
    gradient = tf.ones(SHAPE)
    step = tf.function(
        lambda: optimizer.apply([gradient], variables),
        jit_compile=True,
        autograph=False,
    )
    step()
    program = step.experimental_get_compiler_ir()(stage="optimized_hlo")
    entry = program[program.index("\nENTRY") :]
    made = [
        line.split("= ")[1]
        for line in entry.splitlines()
        if "= f32[600,500]" in line and "parameter(" not in line
    ]
    assert len(made) == 1 + len(optimizer.slot_names)
    assert all(" fusion(" in line for line in made)
    # Nor does it keep what the noise is computed from.
    assert not re.search(r"\[600,500\]\S* constant", program)


@tensorflow_only
@pytest.mark.parametrize("eager", [True, False])
def test_an_update_writes_into_the_variables_own_buffers(member, eager):
    import tensorflow as tf

    optimizer, variables = built(member)
    gradient = tf.ones(SHAPE)
    step = lambda: optimizer.apply([gradient], variables)  # noqa: E731
    if not eager:
        step = tf.function(step, autograph=False)
    step()

    def addresses():
        state = [*variables, *optimizer.slots(variables[0])]
        return [
            np.frombuffer(memoryview(s.value.read_value())).ctypes.data for s in state
        ]

    before = addresses()
    step()
    assert addresses() == before


@tensorflow_only
def test_a_value_read_before_a_step_stays(member):
    import tensorflow as tf

    optimizer, [variable] = built(member)
    value = variable.value.read_value()
    optimizer.apply([tf.ones(SHAPE)], [variable])
    assert np.all(np.array(memoryview(value)) == 0.5)
    assert np.all(variable.numpy() != 0.5)


@tensorflow_only
@pytest.mark.parametrize("strategy", [False, True])
def test_a_plain_graph_traces_one_compiled_program_a_rank(member, strategy):
    import tensorflow as tf

    shapes = [SHAPE, (500, 600), SHAPE, (300, 1000)]
    scope = contextlib.nullcontext()
    if strategy:
        scope = tf.distribute.MirroredStrategy(["/cpu:0"]).scope()
    with scope:
        variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
        optimizer = member()
        optimizer.build(variables)
    gradients = [tf.ones(shape) for shape in shapes]
    step = tf.function(lambda: optimizer.apply(gradients, variables), autograph=False)
    graph = step.get_concrete_function().graph.as_graph_def()
    compiled = [
        function.signature.name
        for function in graph.library.function
        if function.attr["_XlaMustCompile"].b
    ]
    assert len(compiled) == 1
    # The arithmetic is in there and not in the graph around it.
    assert not {node.op for node in graph.node} & {"Sqrt", "Bitcast", "Square"}


@tensorflow_only
def test_an_eager_step_over_many_shapes_warns_of_no_retracing(typical, caplog):
    import tensorflow as tf

    optimizer = typical()
    variables = [keras.Variable(np.ones((300, 300 + i), "float32")) for i in range(9)]
    optimizer.build(variables)
    with caplog.at_level("WARNING", logger="tensorflow"):
        optimizer.apply([tf.ones(v.shape) for v in variables], variables)
    assert not caplog.records


@tensorflow_only
def test_a_program_keeps_no_variable_alive(typical):
    import gc
    import weakref

    import tensorflow as tf

    optimizer, variables = built(typical)
    optimizer.apply([tf.ones(SHAPE)], variables)
    alive = weakref.ref(variables[0].value)
    del optimizer, variables
    keras.backend.clear_session()
    gc.collect()
    assert alive() is None


@tensorflow_only
def test_a_program_outlives_the_optimizer_it_was_traced_for():
    import gc

    # As in fine-tuning: compiled again, the model gets a new optimizer.
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(300)])
    x = np.ones((8, 300), "float32")
    before = model.layers[0].kernel.numpy()
    for _ in range(2):
        model.compile(ASGLD(0.1, seed=0), "mse")
        model.fit(x, x, verbose=0)
        gc.collect()
    assert not np.allclose(model.layers[0].kernel.numpy(), before)
