"""Do an optimizer's defaults come close to the best of tuned momentum SGD and Adam?

    python benchmarks/defaults.py --data_dir=TFDS_DIRECTORY

Six small tasks. On each, momentum SGD and Adam are tuned by `keras-asgld tune`'s search
(five rates a factor of √10 apart, more while the best lies at an end), and six pairs
(learning rate, noise) of ASGLD are tried, all on validation data, with one seed.
ASGLD's pair is the one that is within one point of the better tuned optimizer on the
most tasks. Then each optimizer at its defaults, and the two tuned, are trained with
two other seeds and judged on the test set, which nothing before has read. All rates
are constant, nothing is decayed but by AdamW's default. Every run is one of the
command's; every number goes to the JSON file at once; started again, it goes on.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import statistics
import tempfile

from keras_asgld import data
from keras_asgld.cli.progress import Progress
from keras_asgld.runs import environment, files, settings, training
from keras_asgld.runs.tasks import TASKS
from keras_asgld.studies import tune

TUNING_SEED, SEEDS = 9, (0, 1)
WITHIN = 0.01
MIDDLE = {"momentum": 0.03, "adam": 0.001}
PAIRS = [(rate, noise) for rate in (0.01, 0.03, 0.1) for noise in (1.0, 3.0)]
PRESENT = (0.1, 3.0)  # what the defaults were before this study
# A row of the table → the optimizer by name, and what its class's defaults are. (By
# name Adam has the epsilon 1e-8, not 1e-7.)
ROWS = {
    "SGD()": ("sgd", {"learning_rate": 0.01}),
    "Adam()": ("adam", {"learning_rate": 0.001}),
    "AdamW()": ("adamw", {"learning_rate": 0.001, "weight_decay": 0.004}),
    "RMSprop()": ("rmsprop", {"learning_rate": 0.001}),
    "momentum": ("momentum", {}),
    "adam": ("adam", {}),
    "asgld": ("asgld", {}),
}


@dataclasses.dataclass(frozen=True)
class Setup:
    """One of the study's tasks: a data set of the command, a network, a length.

    Attributes:
        dataset, model, epochs: As the command's flags.
        train_size, validation_size, image_size: Likewise.
    """

    dataset: str
    model: str
    epochs: int
    train_size: int
    validation_size: int
    image_size: int | None = None


SETUPS = {
    "digits": Setup("digits", "digits", 8, 1137, 300),
    "digits, row by row": Setup("digits", "gru", 15, 1137, 300),
    "tabular": Setup("diabetes", "mlp", 20, 262, 90),
    "CIFAR-10, plain": Setup("cifar10", "cnn-plain", 8, 2000, 2000, 16),
    "CIFAR-10, batch norm": Setup("cifar10", "cnn-narrow", 5, 2000, 2000, 16),
    "fine-tuning": Setup("cifar10-transfer", "cnn-narrow", 10, 500, 1000, 16),
}


class Trainer:
    """Runs of one task."""

    def __init__(self, setup, data_dir):
        self.setup = setup
        self.data = data.load(
            setup.dataset,
            batch_size=32,
            data_dir=data_dir if TASKS[setup.dataset].prepared else None,
            image_size=setup.image_size,
            train_size=setup.train_size,
            validation_size=setup.validation_size,
            augment=False,
        )

    def score(self, part, row, seed, rate=None, noise=None):
        """Train anew and judge on `part`; None where the run diverged."""
        optimizer, numbers = ROWS[row]
        numbers = dict(numbers)
        decay = numbers.pop("weight_decay", 0.0)
        given = {"learning_rate": rate, "noise": noise}
        numbers |= {name: value for name, value in given.items() if value is not None}
        chosen = settings.make(
            self.setup.dataset,
            optimizer,
            model=self.setup.model,
            epochs=self.setup.epochs,
            batch_size=32,
            overrides=numbers,
            weight_decay=decay,
            drop_epochs=[],
            drop_factor=0.1,
            seed=seed,
            image_size=self.setup.image_size,
            train_size=self.setup.train_size,
            # A run is judged on its validation data where it has any.
            validation_size=self.setup.validation_size * (part == "validation"),
            jit_compile="auto",
        )
        steps = self.data.steps_per_epoch
        with (
            tempfile.TemporaryDirectory() as folder,
            Progress(1, chosen.epochs, steps, interval=1e9) as progress,
        ):
            record = training.run(chosen, folder, self.data, progress)
        metric = TASKS[self.setup.dataset].score.metric
        return record["epochs"][-1][f"{part}_{metric}"]


def study(name, trainer, record):
    """Fill in what a task's `record` lacks; yields after each new number.

    Args:
        name: The task's.
        trainer: A function of nothing that makes the task's `Trainer`.
        record: A dict of numbers by what they are of.
    """
    made = None

    def score(key, *arguments):
        nonlocal made
        if key not in record:
            made = made or trainer()
            record[key] = made.score(*arguments)
            print(f"{name}: {key}: {record[key]}", flush=True)
        return record[key]

    for optimizer, middle in MIDDLE.items():
        scores, rates = {}, {}
        while (steps := tune.missing(scores)) and len(scores) < tune.MOST:
            for step in steps:
                rates[step] = float(f"{middle * tune.FACTOR**step:.4g}")
                key = f"validation {optimizer} {rates[step]:g}"
                run = ("validation", optimizer, TUNING_SEED, rates[step])
                scores[step] = score(key, *run)
                yield
        record[f"tuned {optimizer}"] = rates[tune.best(scores)]
    for rate, noise in PAIRS:
        key = f"validation asgld {rate:g} {noise:g}"
        score(key, "validation", "asgld", TUNING_SEED, rate, noise)
        yield
    for optimizer in ROWS:
        if optimizer == "asgld":
            continue
        rate = record.get(f"tuned {optimizer}")
        for seed in SEEDS:
            score(f"test {optimizer} seed {seed}", "test", optimizer, seed, rate)
            yield


def final(name, trainer, record, pairs):
    """ASGLD's chosen and former defaults on the test set."""
    made = None
    for rate, noise in pairs:
        for seed in SEEDS:
            key = f"test asgld {rate:g} {noise:g} seed {seed}"
            if key not in record:
                made = made or trainer()
                record[key] = made.score("test", "asgld", seed, rate, noise)
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
    rows = [name for name in ROWS if name not in ("asgld", *MIDDLE)]
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

    environment.ask_for_determinism()
    trainers = {
        name: functools.partial(Trainer, setup, arguments.data_dir)
        for name, setup in SETUPS.items()
    }
    for name, trainer in trainers.items():
        for _ in study(name, trainer, records.setdefault(name, {})):
            keep()
    pairs = list(dict.fromkeys([PRESENT, choose(records)]))
    for name, trainer in trainers.items():
        for _ in final(name, trainer, records[name], pairs):
            keep()
    text = table(records, pairs)
    files.write(out.with_suffix(".md"), text)
    print(f"chosen of ASGLD's pairs: {choose(records)}\n\n{text}")


if __name__ == "__main__":
    main()
