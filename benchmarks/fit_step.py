"""A step of `model.fit` beside the same step with Keras's Adam: CIFAR ResNet-20.

    python benchmarks/fit_step.py
    KERAS_BACKEND=jax python benchmarks/fit_step.py

Each optimizer trains its own network on the same batches of 128 pictures, in turn in
one process. Printed is the median over rounds of each round's ratio to Adam. Results
go to benchmarks/results/fit_step_BACKEND.json.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_asgld import ASGLD, models

OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(1e-3),
    "ASGLD": lambda: ASGLD(1e-3, seed=0),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="a round")
    options = parser.parse_args()
    networks = {name: network(make()) for name, make in OPTIMIZERS.items()}
    runs = {name: (each, ()) for name, each in networks.items()}
    rows = measure(runs, batches(options.steps), options.rounds, beside="Adam")
    for name, row in rows.items():
        print(f"{name:6} {row['ratio']:5.3f} x Adam  {row['milliseconds']:7.1f} ms")
    write("fit_step", {"rounds": options.rounds, **rows})


def batches(steps, shape=(32, 32, 3), size=128):
    """Random pictures and labels, enough for so many steps of `size` of them."""
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((size * steps, *shape), dtype="float32")
    return pictures, rng.integers(10, size=len(pictures)), size


def network(optimizer, model="resnet20", shape=(32, 32, 3)):
    built = models.build(model, shape, 10, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    built.compile(optimizer, loss)
    return built


def measure(runs, data, rounds, beside):
    """The time of a step in each run, and its ratio to that of the run `beside`.

    Args:
        runs: By name, a compiled network and the callbacks of `fit`.
        data: What `batches` returned.
        rounds: How often every run is timed, in turn, after one that compiles.
        beside: The name of the run that the others are compared with.

    Returns:
        By name a dict: `ratio`, the median over rounds of each round's ratio,
        `low` and `high`, its quartiles, and the median of `milliseconds`.
    """
    times = {name: [] for name in runs}
    for round_number in range(rounds + 1):
        for name, (each, callbacks) in runs.items():
            seconds = fit(each, data, callbacks)
            if round_number:
                times[name].append(seconds)
    rows = {}
    for name in runs:
        ratios = [a / b for a, b in zip(times[name], times[beside], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        rows[name] = {
            "ratio": middle,
            "low": low,
            "high": high,
            "milliseconds": 1e3 * statistics.median(times[name]),
        }
    return rows


def fit(network, data, callbacks):
    """The seconds that a step takes in one epoch."""
    pictures, labels, size = data
    options = {"batch_size": size, "shuffle": False, "verbose": 0}
    start = time.perf_counter()
    network.fit(pictures, labels, callbacks=list(callbacks), **options)
    return (time.perf_counter() - start) / (len(pictures) // size)


def write(name, rows):
    backend = keras.backend.backend()
    path = pathlib.Path(__file__).parent / "results" / f"{name}_{backend}.json"
    path.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
