"""The cost of one update beside Keras's Adam, on the tensors of real networks.

    python benchmarks/update_step.py                 # TensorFlow: xla, graph, eager
    KERAS_BACKEND=jax python benchmarks/update_step.py
    KERAS_BACKEND=torch python benchmarks/update_step.py

All optimizers run in one process, in turn, on the same shapes. Printed is the median
over rounds of each round's ratio to Adam, which holds when the machine's speed drifts,
and Adam's own median time. The floor is what the bare memory traffic takes: seven words
a weight (read gradient, weight and two slots; write the last three) at this machine's
measured copy bandwidth. Results go to benchmarks/results/update_step_BACKEND.json.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import ops

import keras_asgld
from keras_asgld import ASGLD, PSGLD, SGHMC, SGLD, models, rules

BACKEND = keras.backend.backend()
MODES = {"tensorflow": ["xla", "graph", "eager"], "jax": ["jit"], "torch": ["eager"]}
NETWORKS = {"resnet34": 10, "densenet121": 10, "cnn": 10}


class NaiveASGLD(ASGLD):
    """What everyone writes first: the backend's own normal draws, no fusion asked."""

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        mu, C = self._slots[index]
        seed = ops.stack([ops.cast(self.iterations, "int32"), index])
        z = keras.random.normal(gradient.shape, seed=seed)
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
    "ASGLD, naive": lambda: NaiveASGLD(1e-3, seed=0),
}


def shapes_of(network):
    model = models.build(network, (32, 32, 3), NETWORKS[network], seed=0)
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

        step = jax.jit(
            lambda values, state: optimizer.stateless_apply(state, gradients, values),
            donate_argnums=(0, 1),
        )
        state = [[v.value for v in variables], [v.value for v in optimizer.variables]]

        def run():
            state[:] = step(*state)
            jax.block_until_ready(state)

        return run

    run = lambda: optimizer.apply(gradients, variables)  # noqa: E731
    if BACKEND == "tensorflow" and mode != "eager":
        import tensorflow as tf

        return tf.function(run, jit_compile=mode == "xla", autograph=False)
    return run


def measure(shapes, mode, rounds, chosen):
    steps, first = {}, {}
    # The backend's own start is no optimizer's cost.
    stepper(OPTIMIZERS["Adam"](), [(3,)], mode)()
    for name in chosen:
        step = stepper(OPTIMIZERS[name](), shapes, mode)
        start = time.perf_counter()
        step()
        first[name] = time.perf_counter() - start
        step()
        steps[name] = step
    times = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    adam = times["Adam"]
    return {
        name: {
            "ratio": statistics.median(a / b for a, b in zip(t, adam, strict=True)),
            "milliseconds": 1e3 * statistics.median(t),
            "first_call_seconds": first[name],
            "first_call_ratio": first[name] / first["Adam"],
        }
        for name, t in times.items()
    }


def copy_bandwidth():
    """Bytes a second that a large copy reads and writes, the best of ten."""
    source = np.ones(2**25, "float32")
    target = np.empty_like(source)
    best = np.inf
    for _ in range(10):
        start = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return 2 * source.nbytes / best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--modes", nargs="+", default=MODES[BACKEND])
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", default=f"update_step_{BACKEND}.json")
    options = parser.parse_args()
    chosen = ["Adam"] + [name for name in options.optimizers if name != "Adam"]
    bandwidth = copy_bandwidth()
    results = {
        "versions": {
            "keras_asgld": keras_asgld.__version__,
            "keras": keras.__version__,
        },
        "backend": BACKEND,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "copy_bandwidth": bandwidth,
        "cases": [],
    }
    for network in options.networks:
        shapes = shapes_of(network)
        weights = sum(int(np.prod(s)) for s in shapes)
        floor = 1e3 * 7 * 4 * weights / bandwidth
        for mode in options.modes:
            rows = measure(shapes, mode, options.rounds, chosen)
            results["cases"].append(
                {
                    "network": network,
                    "mode": mode,
                    "tensors": len(shapes),
                    "weights": weights,
                    "floor_milliseconds": floor,
                    "optimizers": rows,
                }
            )
            print(
                f"\n{network}, {len(shapes)} tensors, {weights / 1e6:.1f} M weights, "
                f"{BACKEND} {mode}; floor {floor:.1f} ms"
            )
            for name, row in rows.items():
                print(
                    f"  {name:13} {row['ratio']:6.2f} x Adam "
                    f"{row['milliseconds']:8.1f} ms   "
                    f"first call {row['first_call_ratio']:5.2f} x"
                )
    path = pathlib.Path(__file__).parent / "results" / options.out
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
