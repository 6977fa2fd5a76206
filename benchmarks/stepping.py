"""One update of an optimizer as a function of nothing, for the benchmarks."""

import concurrent.futures
import gc
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import ops

import keras_asgld
from keras_asgld import (
    ASGLD,
    BAOA,
    PSGLD,
    SGHMC,
    SGLD,
    SGNHT,
    ScaleFreeASGLD,
    models,
    rules,
)
from keras_asgld.runs.environment import machine

BACKEND = keras.backend.backend()
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
MODES = {"tensorflow": ["xla", "graph", "eager"], "jax": ["jit"], "torch": ["eager"]}


def backend_normal(shape, update, index):
    """The backend's own normal draws for one variable at one update."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.random.stateless_normal(shape, seed=tf.stack([update, index]))
    if BACKEND == "jax":
        import jax

        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), update), index)
        return jax.random.normal(key, shape)
    import torch

    return torch.randn(shape)


class NaiveASGLD(ASGLD):
    """What everyone writes first: the backend's own normal draws, no fusion asked."""

    def _backend_update_step(self, gradients, variables, learning_rate):
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        mu, C = self.slots(variable)
        update = ops.cast(self.iterations, "int32")
        z = backend_normal(tuple(variable.shape), update, index)
        values = rules.asgld(
            gradient, variable, mu, C, z, learning_rate, self.momentum, self.noise
        )
        for target, value in zip((variable, mu, C), values, strict=True):
            self.assign(target, value)


OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(1e-3),
    "SGD": lambda: keras.optimizers.SGD(1e-3),
    "AdamW": lambda: keras.optimizers.AdamW(1e-3),
    "ASGLD": lambda: ASGLD(1e-3, seed=0),
    "SGLD": lambda: SGLD(1e-3, temperature=1e-4, seed=0),
    "PSGLD": lambda: PSGLD(1e-3, temperature=1e-4, seed=0),
    "SGHMC": lambda: SGHMC(1e-3, 0.9, temperature=1e-4, seed=0),
    "ScaleFreeASGLD": lambda: ScaleFreeASGLD(1e-3, seed=0),
    "SGNHT": lambda: SGNHT(1e-3, 0.9, temperature=1e-4, seed=0),
    "BAOA": lambda: BAOA(1e-3, 0.9, temperature=1e-4, seed=0),
    "ASGLD, naive": lambda: NaiveASGLD(1e-3, seed=0),
}


def shapes_of(network):
    model = models.build(network, (32, 32, 3), 10, seed=0)
    return [tuple(v.shape) for v in model.trainable_variables]


def stepper(optimizer, shapes, mode):
    """A function of nothing that does one update and waits for it."""
    rng = np.random.default_rng(0)
    draw = lambda s: rng.standard_normal(s, dtype="float32") * 0.01  # noqa: E731
    variables = [keras.Variable(draw(s)) for s in shapes]
    gradients = [ops.convert_to_tensor(draw(s)) for s in shapes]
    optimizer.build(variables)
    if BACKEND == "jax":
        import jax

        # The gradients are arguments: XLA would compile constants into the program.
        step = jax.jit(
            lambda values, state, gradients: optimizer.stateless_apply(
                state, gradients, values
            ),
            donate_argnums=(0, 1),
        )
        state = [[v.value for v in variables], [v.value for v in optimizer.variables]]

        def run():
            state[:] = step(*state, gradients)
            jax.block_until_ready(state)

        return run

    run = lambda: optimizer.apply(gradients, variables)  # noqa: E731
    if BACKEND == "tensorflow" and mode != "eager":
        import tensorflow as tf

        return tf.function(run, jit_compile=mode == "xla", autograph=False)
    return run


def started(names, shapes, mode):
    """Steps by optimizer, each run twice, and the seconds of their first calls."""
    steps, first = {}, {}
    for name in names:
        step = stepper(OPTIMIZERS[name](), shapes, mode)
        # None pays for the garbage of those before it.
        gc.collect()
        start = time.perf_counter()
        step()
        first[name] = time.perf_counter() - start
        step()
        steps[name] = step
    return steps, first


def paired_times(steps, rounds):
    """Seconds of every step in each round, one after the other."""
    times = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return times


def median_ratio(times, base):
    return statistics.median(a / b for a, b in zip(times, base, strict=True))


def memory_bandwidth():
    """Bytes a second that all cores together read and write in place, best of ten."""
    cores = os.cpu_count()
    array = np.ones((cores, 2**26 // cores), "float32")
    best = np.inf
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        for _ in range(10):
            start = time.perf_counter()
            list(pool.map(np.negative, array, array))
            best = min(best, time.perf_counter() - start)
    return 2 * array.nbytes / best


def environment():
    backend = __import__(BACKEND)
    return {
        "backend": BACKEND,
        "versions": {
            "keras_asgld": keras_asgld.__version__,
            "keras": keras.__version__,
            BACKEND: backend.__version__,
        },
        "machine": {name: machine()[name] for name in ("processor", "cores")},
    }


def kept(name):
    """The record of `save`, or an empty one if other versions or cores made it."""
    path = _record(name)
    results = json.loads(path.read_text()) if path.exists() else {}
    here = environment()
    return results if here.items() <= results.items() else here


def save(results, name, draw):
    """Writes results/NAME_BACKEND.json and has the picture of it drawn beside it."""
    path = _record(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    draw(results, path.with_suffix(".png"))


def _record(name):
    return pathlib.Path(__file__).parent / "results" / f"{name}_{BACKEND}.json"
