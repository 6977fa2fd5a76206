"""Does another first step, or a decay, bring ScaleFreeASGLD() closer to tuned ones?

    python benchmarks/remedies.py --data_dir=TFDS_DIRECTORY

The mean begins at zero and the noise with it, so the first steps are shorter than later
ones, while the divisor is that of a few gradients. Three changes of the rule, and
AdamW's decay, on the six tasks of `defaults.py` that choose, on validation data, with
three seeds that chose nothing. The shortfall is that behind the best of the three
optimizers whose rates `defaults.py` has tuned, with the same seeds. Every number goes
to docs/results/remedies.json at once; started again, it goes on.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics
import sys

from keras import ops

from keras_asgld import ScaleFreeASGLD, atomic, rules
from keras_asgld.runs import optimizers as named

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import defaults

RESULTS = pathlib.Path(__file__).parent.parent / "docs" / "results"
SEEDS = (10, 11, 12)


def _changed(change):
    """A class whose rule is ScaleFreeASGLD's but for what `change` returns.

    `change(mu, C, v, w)`, with w = 1 - momentum**t, returns the mean and the variance
    of the noise, and a factor of the learning rate.
    """

    def rule(gradient, variable, mu, C, z, rate, momentum, noise, epsilon, t):
        mu, C = rules.moments(gradient, mu, C, momentum)
        w = 1 - ops.power(momentum, t)
        v = (C + ops.square(mu)) / w
        mean, variance, factor = change(mu, C, v, w)
        xi = mean + ops.sqrt(variance) * z
        step = (gradient + noise * xi) / (ops.sqrt(v) + epsilon)
        return variable - rate * factor * step, mu, C

    return type("Changed", (ScaleFreeASGLD,), {"rule": staticmethod(rule)})


def _corrected(mu, C, v, w):
    mean = mu / w
    return mean, ops.maximum(v - ops.square(mean), 0.0), 1.0


Corrected = _changed(_corrected)
MeanCorrected = _changed(lambda mu, C, v, w: (mu / w, C, 1.0))
Warm = _changed(lambda mu, C, v, w: (mu, C, w))

CHANGES = {
    "corrected": "Corrected",
    "mean-corrected": "MeanCorrected",
    "warm": "Warm",
}


def _numbers(learning_rate=0.001, **others):
    return {"learning_rate": learning_rate, "momentum": 0.95, "noise": 3.0, **others}


# What a row is called → optimizer and numbers.
ROWS = {
    "as it is": ("scale-free-asgld", _numbers()),
    "mean and variance corrected": ("corrected", _numbers()),
    "mean corrected": ("mean-corrected", _numbers()),
    "warm start, η (1 − ρᵗ)": ("warm", _numbers()),
    "warm start, η = 0.0015": ("warm", _numbers(0.0015)),
    "warm start, η = 0.002": ("warm", _numbers(0.002)),
    "η = 0.002": ("scale-free-asgld", _numbers(0.002)),
    "decoupled decay of 0.004": ("scale-free-asgld", _numbers(weight_decay=0.004)),
    "Adam()": ("adam", {"learning_rate": 0.001}),
}


def name_the_changes():
    """Let `defaults.py` train the changed classes by name."""
    row = named.OPTIMIZERS["scale-free-asgld"]
    for name, cls in CHANGES.items():
        named.ALL[name] = dataclasses.replace(row, path=f"{__name__}.{cls}")


def tuned(rates, task):
    """The tuned optimizers at the rates that the study of defaults has found."""
    return [
        (optimizer, {"learning_rate": defaults.tuned_rate(rates[task], optimizer)})
        for optimizer in defaults.MIDDLE
    ]


def table(records, rates):
    """A row's shortfalls, by task and on average, in points."""

    def mean(task, optimizer, numbers):
        keys = [
            defaults.run_key("validation", optimizer, numbers, seed) for seed in SEEDS
        ]
        return statistics.fmean(defaults.low(records[task][key]) for key in keys)

    tasks = defaults.CHOOSING
    best = {t: max(mean(t, *one) for one in tuned(rates, t)) for t in tasks}
    lines = [["rule", *tasks, "mean"], ["---"] + ["---:"] * (len(tasks) + 1)]
    for row, one in ROWS.items():
        short = [100 * (best[task] - mean(task, *one)) for task in tasks]
        lines.append([row, *(f"{s:.1f}" for s in [*short, statistics.fmean(short)])])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="prepared TFDS directory of cifar10")
    arguments = parser.parse_args()
    name_the_changes()
    rates = json.loads((RESULTS / "defaults.json").read_text())
    path = RESULTS / "remedies.json"
    records = json.loads(path.read_text()) if path.exists() else {}

    def keep():
        with atomic.replacing(path) as partial:
            partial.write_text(json.dumps(records, indent=1) + "\n")

    for task in defaults.CHOOSING:
        trainer = defaults.Trainer(defaults.SETUPS[task], arguments.data_dir)
        study = defaults.Study(records, lambda _, made=trainer: made, keep)
        for seed in SEEDS:
            for optimizer, numbers in [*ROWS.values(), *tuned(rates, task)]:
                study.score(task, "validation", optimizer, numbers, seed)
    text = table(records, rates)
    (RESULTS / "remedies.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
