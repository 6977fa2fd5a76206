"""A step of `model.fit` with `NoiseMonitor` beside the same step without it.

    python benchmarks/monitor_step.py
    KERAS_BACKEND=jax python benchmarks/monitor_step.py

Two networks: CIFAR ResNet-20 on batches of 128 pictures, and the digits' network, whose
step is short, on batches of 64 in epochs of 23 steps. Each is trained in turn, in one
process, without the monitor, with its default frequency (which in an epoch of up to a
hundred steps measures the last), and with every step measured. Printed are the medians
over rounds of each round's ratio, and its quartiles. Results go to
benchmarks/results/monitor_step_BACKEND.json.
"""

import argparse

import fit_step

from keras_asgld import ASGLD, NoiseMonitor

# By name: the shape of a picture, pictures a step, steps an epoch, times the rounds.
NETWORKS = {
    "digits": ((8, 8, 1), 64, 23, 3),
    "resnet20": ((32, 32, 3), 128, 4, 1),
}
WITHOUT, EVERY = "without", "every step"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    results = {"rounds": rounds}
    for name, (shape, size, steps, times) in NETWORKS.items():
        runs = {
            WITHOUT: (),
            "default": (NoiseMonitor(),),
            EVERY: (NoiseMonitor(frequency=1),),
        }
        # One network each: what is traced and compiled for one run stays its own.
        runs = {
            key: (fit_step.network(ASGLD(1e-3, seed=0), name, shape), callbacks)
            for key, callbacks in runs.items()
        }
        data = fit_step.batches(steps, shape, size)
        rows = fit_step.measure(runs, data, times * rounds, beside=WITHOUT)
        for key, row in rows.items():
            print(
                f"{name:9} {key:10} {row['ratio']:6.4f} x without "
                f"({row['low']:.4f} to {row['high']:.4f})  {row['milliseconds']:.1f} ms"
            )
        results[name] = {"steps": steps, **rows}
        fit_step.write("monitor_step", results)


if __name__ == "__main__":
    main()
