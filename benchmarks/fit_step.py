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
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((128 * options.steps, 32, 32, 3), dtype="float32")
    labels = rng.integers(10, size=len(pictures))
    networks = {}
    for name, make in OPTIMIZERS.items():
        network = models.build("resnet20", (32, 32, 3), 10, seed=0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(make(), loss)
        networks[name] = network
        fit(network, pictures, labels)
    times = {name: [] for name in networks}
    for _ in range(options.rounds):
        for name, network in networks.items():
            times[name].append(fit(network, pictures, labels) / options.steps)
    rows = {
        name: {
            "ratio": statistics.median(
                a / b for a, b in zip(times[name], times["Adam"], strict=True)
            ),
            "milliseconds": 1e3 * statistics.median(times[name]),
        }
        for name in times
    }
    for name, row in rows.items():
        print(f"{name:6} {row['ratio']:5.3f} x Adam  {row['milliseconds']:7.1f} ms")
    backend = keras.backend.backend()
    path = pathlib.Path(__file__).parent / "results" / f"fit_step_{backend}.json"
    path.write_text(json.dumps({"rounds": options.rounds, **rows}, indent=1) + "\n")


def fit(network, pictures, labels):
    start = time.perf_counter()
    network.fit(pictures, labels, batch_size=128, shuffle=False, verbose=0)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
