"""Do an optimizer's defaults come close to the best of tuned momentum SGD and Adam?

    python benchmarks/defaults.py --data_dir=TFDS_DIRECTORY

Six small tasks. On each, momentum SGD and Adam are tuned by `keras-asgld tune`'s search
(five rates a factor of √10 apart, more while the best lies at an end), and six pairs
(learning rate, noise) of ASGLD are tried, all on validation data, with one seed.
ASGLD's pair is the one that is within one point of the better tuned optimizer on the
most tasks. Then each optimizer at its defaults, and the two tuned, are trained with
two other seeds and judged on the test set, which nothing before has read. All rates
are constant. Every figure goes to the JSON file at once; started again, it goes on.
"""

import argparse
import json
import pathlib
import statistics

import default_tasks
import keras
import numpy as np

from keras_asgld import ASGLD
from keras_asgld.runs import files
from keras_asgld.studies import tune

TUNING_SEED, SEEDS = 9, (0, 1)
WITHIN = 0.01
MIDDLE = {"momentum": 0.03, "adam": 0.001}
PAIRS = [(rate, noise) for rate in (0.01, 0.03, 0.1) for noise in (1.0, 3.0)]
PRESENT = (0.1, 3.0)  # what the defaults were before this study
MAKE = {
    "SGD()": keras.optimizers.SGD,
    "Adam()": keras.optimizers.Adam,
    "AdamW()": keras.optimizers.AdamW,
    "RMSprop()": keras.optimizers.RMSprop,
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "adam": keras.optimizers.Adam,
    "asgld": lambda: ASGLD(seed=0),
}


class Trainer:
    """One optimizer on one task, compiled once and trained many times."""

    def __init__(self, task, optimizer):
        self.task, self.optimizer = task, MAKE[optimizer]()
        self.model = task.build(0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(self.optimizer, "mse" if task.regression else loss)
        self.optimizer.build(self.model.trainable_variables)
        self.start = [v.numpy() for v in self.optimizer.variables]

    def score(self, part, seed, rate=None, noise=None):
        """Train anew and judge on `part`; None where the run diverged."""
        self.model.set_weights(self.task.build(seed).get_weights())
        for variable, value in zip(self.optimizer.variables, self.start, strict=True):
            variable.assign(value)
        if rate is not None:
            self.optimizer.learning_rate = rate
        if noise is not None:
            self.optimizer.noise = noise
        keras.utils.set_random_seed(seed)
        self.model.fit(
            *self.task.parts["train"],
            batch_size=self.task.batch_size,
            epochs=self.task.epochs,
            verbose=0,
        )
        x, y = self.task.parts[part]
        return judge(self.model.predict(x, batch_size=500, verbose=0), y)


def judge(outputs, y):
    """Accuracy; R² where y is a number; None where the outputs are not finite."""
    if not np.isfinite(outputs).all():
        return None
    if np.issubdtype(y.dtype, np.integer):
        return float(np.mean(outputs.argmax(1) == y))
    return float(1 - np.mean((outputs[:, 0] - y) ** 2) / np.var(y))


def study(name, make_task, record):
    """Fill in what a task's `record` lacks; yields after each new figure."""
    task, trainers = None, {}

    def score(key, optimizer, *arguments, **numbers):
        nonlocal task
        if key in record:
            return record[key]
        task = task or make_task()
        if optimizer not in trainers:
            trainers[optimizer] = Trainer(task, optimizer)
        record[key] = trainers[optimizer].score(*arguments, **numbers)
        print(f"{name}: {key}: {record[key]}", flush=True)
        return record[key]

    for optimizer, middle in MIDDLE.items():
        scores, rates = {}, {}
        while (steps := tune.missing(scores)) and len(scores) < tune.MOST:
            for step in steps:
                rates[step] = float(f"{middle * tune.FACTOR**step:.4g}")
                key = f"validation {optimizer} {rates[step]:g}"
                numbers = ("validation", TUNING_SEED, rates[step])
                scores[step] = score(key, optimizer, *numbers)
                yield
        record[f"tuned {optimizer}"] = rates[tune.best(scores)]
    for rate, noise in PAIRS:
        key = f"validation asgld {rate:g} {noise:g}"
        score(key, "asgld", "validation", TUNING_SEED, rate, noise)
        yield
    for optimizer in MAKE:
        if optimizer == "asgld":
            continue
        rate = record.get(f"tuned {optimizer}")
        for seed in SEEDS:
            score(f"test {optimizer} seed {seed}", optimizer, "test", seed, rate)
            yield


def final(name, make_task, record, pairs):
    """ASGLD's chosen and former defaults on the test set."""
    trainer = None
    for rate, noise in pairs:
        for seed in SEEDS:
            key = f"test asgld {rate:g} {noise:g} seed {seed}"
            if key not in record:
                trainer = trainer or Trainer(make_task(), "asgld")
                record[key] = trainer.score("test", seed, rate, noise)
                print(f"{name}: {key}: {record[key]}", flush=True)
            yield


def choose(records):
    """The pair that is close on most tasks, then with the smallest mean shortfall."""

    def quality(pair):
        shortfalls = [
            best_tuned(record, "validation")
            - _low(record[f"validation asgld {pair[0]:g} {pair[1]:g}"])
            for record in records.values()
        ]
        close = sum(shortfall <= WITHIN for shortfall in shortfalls)
        return close, -statistics.fmean(min(s, 1.0) for s in shortfalls)

    return max(PAIRS, key=quality)


def best_tuned(record, part):
    if part == "test":
        return max(_mean(record, optimizer) for optimizer in MIDDLE)
    return max(
        _low(record[f"validation {optimizer} {record[f'tuned {optimizer}']:g}"])
        for optimizer in MIDDLE
    )


def _mean(record, optimizer):
    return statistics.fmean(
        _low(record[f"test {optimizer} seed {seed}"]) for seed in SEEDS
    )


def _low(score):
    return -1.0 if score is None else score  # a run that diverged


def table(records, pairs):
    """Markdown: an optimizer a row, a task a column, how often it comes close."""
    rows = [name for name in MAKE if name not in ("asgld", *MIDDLE)]
    rows += [f"asgld {rate:g} {noise:g}" for rate, noise in pairs] + list(MIDDLE)
    header = ["optimizer", *records, "within 1 point"]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for row in rows:
        cells, close = [], 0
        for record in records.values():
            score = _mean(record, row)
            near = score >= best_tuned(record, "test") - WITHIN
            close += near
            cells.append(f"**{100 * score:.1f}**" if near else f"{100 * score:.1f}")
        lines.append([row, *cells, f"{close} of {len(records)}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_dir", default=None, help="prepared TFDS directory")
    parser.add_argument("--out", default="docs/results/defaults.json")
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    records = json.loads(out.read_text()) if out.exists() else {}

    def keep():
        files.write(out, json.dumps(records, indent=1, allow_nan=False) + "\n")

    makers = default_tasks.tasks(arguments.data_dir)
    for name, make_task in makers.items():
        for _ in study(name, make_task, records.setdefault(name, {})):
            keep()
    pairs = list(dict.fromkeys([PRESENT, choose(records)]))
    for name, make_task in makers.items():
        for _ in final(name, make_task, records[name], pairs):
            keep()
    text = table(records, pairs)
    files.write(out.with_suffix(".md"), text)
    print(f"chosen of ASGLD's pairs: {choose(records)}\n\n{text}")


if __name__ == "__main__":
    main()
