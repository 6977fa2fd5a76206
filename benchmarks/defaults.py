"""Do an optimizer's defaults come close to the best of three that are tuned?

    python benchmarks/defaults.py --data_dir=TFDS_DIRECTORY

Twelve small tasks: pictures, tables, text, sequences. On each, momentum SGD, Adam and
RMSprop are tuned by `keras-asgld tune`'s search (five rates a factor of √10 apart, more
while the best lies at an end), on validation data, with one seed.

On six of the tasks, drawn by a fixed seed, the numbers of `GRIDS` are tried for our
two optimizers, on validation data with that seed too. Of those that diverge least often
the ones are chosen that are within one point of the best tuned on the most tasks, then
those with the smallest mean shortfall. The other six tasks have no say.

Then each optimizer at its class's defaults and the three tuned are trained with five
other seeds and judged on test data, which nothing before has read. Rates are constant
and nothing is decayed but by AdamW's default. A score below -1 counts as -1, as does a
run that diverged.

Every run equals one of the command's; every number goes to the JSON file at once;
started again, it goes on. The seeds come one after the other, so that what is there can
be compared at any time.
"""

import argparse
import dataclasses
import functools
import json
import math
import pathlib
import random
import statistics

import keras
import tensorflow as tf

from keras_asgld import data, models
from keras_asgld.runs import files, settings, transfer
from keras_asgld.runs import optimizers as named
from keras_asgld.runs.tasks import TASKS
from keras_asgld.studies import tune

TUNING_SEED, SEEDS = 9, (0, 1, 2, 3, 4)
WITHIN = 0.01
MIDDLE = {"momentum": 0.03, "adam": 0.001, "rmsprop": 0.001}
MOST_TESTED = 2000  # examples of a test set, each class with its share


@dataclasses.dataclass(frozen=True)
class Setup:
    """One of the study's tasks: a data set of the command, a network, a length.

    Attributes:
        dataset, model, epochs, batch_size: As the command's flags.
        train_size, validation_size, image_size: Likewise.
    """

    dataset: str
    model: str
    epochs: int
    train_size: int
    validation_size: int
    image_size: int | None = None
    batch_size: int = 32


# The sizes are multiples of the batch, so that a step is traced once.
SETUPS = {
    "digits": Setup("digits", "digits", 6, 1120, 288),
    "digits, row by row": Setup("digits", "gru", 12, 1120, 288),
    "table": Setup("diabetes", "mlp", 20, 256, 96),
    "CIFAR-10, plain": Setup("cifar10", "cnn-plain", 5, 1600, 1600, 16),
    "CIFAR-10, batch norm": Setup("cifar10", "cnn-narrow", 4, 1600, 1600, 16),
    "fine-tuning": Setup("cifar10-transfer", "cnn-narrow", 8, 480, 960, 16),
    "raw table": Setup("diabetes-raw", "mlp", 60, 256, 96, batch_size=16),
    "tumours": Setup("breast-cancer", "mlp", 15, 256, 96),
    "autoencoder": Setup("digits-autoencoder", "autoencoder", 12, 1120, 288),
    "verses, bag of words": Setup("verses", "bag", 6, 3200, 1600),
    "surnames, LSTM": Setup("surnames", "lstm", 8, 1280, 480),
    "surnames, transformer": Setup("surnames", "transformer", 8, 1280, 480),
}
# The tasks that choose; the others only report.
CHOOSING = sorted(random.Random(21).sample(list(SETUPS), 6), key=list(SETUPS).index)
# Where ASGLD's docstring says that it diverges, it may.
RAW = "raw table"


def _numbers(**columns):
    """Dicts of one number of each column."""
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


GRIDS = {
    "asgld": _numbers(
        learning_rate=[0.01, 0.03, 0.1, 0.01, 0.03, 0.1],
        momentum=[0.9] * 6,
        noise=[1.0, 1.0, 1.0, 3.0, 3.0, 3.0],
    ),
    "scale-free-asgld": _numbers(
        learning_rate=[0.001, 0.001, 0.001, 0.002, 0.001, 0.002, 0.001, 0.004],
        momentum=[0.9, 0.95, 0.98, 0.95, 0.95, 0.95, 0.98, 0.95],
        noise=[1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 0.3],
    ),
}
# A row of the table → the optimizer by name, and what its class's defaults are. (By
# name Adam has the epsilon 1e-8, not 1e-7.)
DEFAULTS = {
    "SGD()": ("sgd", {"learning_rate": 0.01}),
    "Adam()": ("adam", {"learning_rate": 0.001}),
    "AdamW()": ("adamw", {"learning_rate": 0.001, "weight_decay": 0.004}),
    "RMSprop()": ("rmsprop", {"learning_rate": 0.001}),
    "Lion()": ("lion", {"learning_rate": 0.001}),
    "ASGLD()": ("asgld", {"learning_rate": 0.1, "momentum": 0.9, "noise": 1.0}),
    "ScaleFreeASGLD()": (
        "scale-free-asgld",
        {"learning_rate": 0.001, "momentum": 0.95, "noise": 3.0},
    ),
}


class Trainer:
    """Runs of one task, equal to the command's.

    Most of what a run of the command costs here is tracing its step. An optimizer's
    runs share theirs: weights and the optimizer's variables, of which learning rate,
    noise and seed are some, are set to those that a run begins with.
    """

    def __init__(self, setup, data_dir):
        self.setup = setup
        whole = data.load(
            setup.dataset,
            batch_size=setup.batch_size,
            data_dir=data_dir if TASKS[setup.dataset].prepared else None,
            image_size=setup.image_size,
            train_size=setup.train_size,
            validation_size=setup.validation_size,
            augment=False,
        )
        tested = whole.test_examples.take(slice(MOST_TESTED))
        self.data = dataclasses.replace(whole, test_examples=tested)
        self.compiled = {}
        self.build = functools.partial(
            models.build, setup.model, self.data.input_shape, self.data.outputs
        )
        if self.data.before is not None:
            self.build = transfer.network(setup.model, self.data, jit_compile=False)

    def settings(self, optimizer, numbers, seed, validation_size=0):
        """The command's settings of a run."""
        numbers = dict(numbers)
        return settings.make(
            self.setup.dataset,
            optimizer,
            model=self.setup.model,
            epochs=self.setup.epochs,
            batch_size=self.setup.batch_size,
            weight_decay=numbers.pop("weight_decay", 0.0),
            overrides=numbers,
            drop_epochs=[],
            drop_factor=0.1,
            seed=seed,
            image_size=self.setup.image_size,
            train_size=self.setup.train_size,
            validation_size=validation_size,
            jit_compile="off",
        )

    def score(self, part, optimizer, numbers, seed):
        """Train anew and judge on `part`; None where the run diverged."""
        keras.utils.set_random_seed(seed)
        chosen = self.settings(optimizer, numbers, seed)
        fresh = self.build(seed=seed)
        made = named.make(chosen, self.data.steps_per_epoch)
        made.build(fresh.trainable_variables)
        own = {k: v for k, v in numbers.items() if k not in ("learning_rate", "noise")}
        key = optimizer, *own.values()
        if key not in self.compiled:
            self.compiled[key] = self._compile(fresh, made)
        else:
            model = self.compiled[key]
            begin = [*fresh.variables, *made.variables]
            ours = [*model.variables, *model.optimizer.variables]
            for variable, value in zip(ours, begin, strict=True):
                variable.assign(value)
        return self._train(self.compiled[key], part, seed)

    def _compile(self, model, optimizer):
        score = TASKS[self.setup.dataset].score
        metrics = [score.keras_metric()]
        model.compile(
            optimizer,
            score.loss(),
            metrics=metrics,
            steps_per_execution=self.data.steps_per_epoch,
            jit_compile=False,
        )
        return model

    def _train(self, model, part, seed):
        ordered = dataclasses.replace(self.data, seed=seed)
        last = model.fit(
            ordered.train(),
            epochs=self.setup.epochs,
            steps_per_epoch=ordered.steps_per_epoch,
            callbacks=[keras.callbacks.TerminateOnNaN()],
            shuffle=False,
            verbose=0,
        ).history
        judged = model.evaluate(getattr(ordered, part)(), verbose=0, return_dict=True)
        numbers = [*judged.values(), *(values[-1] for values in last.values())]
        if not all(math.isfinite(number) for number in numbers):
            return None
        return judged[TASKS[self.setup.dataset].score.metric]


class Study:
    """The numbers found so far, and how a missing one is found.

    Args:
        records: A dict of tasks to dicts of numbers by what they are of; it grows.
        trainer: A function of a task's name that makes its `Trainer`.
        keep: Called after each new number.
    """

    def __init__(self, records, trainer, keep):
        self.records = records
        self.trainer = trainer
        self.keep = keep

    def score(self, task, part, optimizer, numbers, seed):
        record = self.records.setdefault(task, {})
        key = run_key(part, optimizer, numbers, seed)
        if key not in record:
            run = part, optimizer, numbers, seed
            record[key] = self.trainer(task).score(*run)
            print(f"{task}: {key}: {record[key]}", flush=True)
            self.keep()
        return record[key]

    def tune(self, task):
        """Find the rates of the tuned optimizers on a task."""
        for optimizer, middle in MIDDLE.items():
            scores = {}
            while (steps := tune.missing(scores)) and len(scores) < tune.MOST:
                for step in steps:
                    numbers = {
                        "learning_rate": float(f"{middle * 10 ** (step / 2):.4g}")
                    }
                    run = "validation", optimizer, numbers, TUNING_SEED
                    scores[step] = self.score(task, *run)

    def run(self):
        """Everything, in order; what is known is not done again."""
        for task in CHOOSING:
            self.tune(task)
            for optimizer, grid in GRIDS.items():
                for numbers in grid:
                    run = "validation", optimizer, numbers, TUNING_SEED
                    self.score(task, *run)
        for seed in SEEDS:
            for task in SETUPS:
                self.tune(task)
                for optimizer, numbers in rows(self.records, task).values():
                    self.score(task, "test", optimizer, numbers, seed)


def run_key(part, optimizer, numbers, seed):
    values = " ".join(f"{value:g}" for value in numbers.values())
    return f"{part} {optimizer} {values} seed {seed}"


def rows(records, task):
    """A row's name → optimizer and numbers, which for the tuned depend on the task."""
    found = dict(DEFAULTS)
    for optimizer in MIDDLE:
        tuned = {"learning_rate": tuned_rate(records[task], optimizer)}
        found[f"{optimizer}, tuned"] = optimizer, tuned
    return found


def _validation(record, optimizer):
    """Rate → score on validation data."""
    start, end = f"validation {optimizer} ", f" seed {TUNING_SEED}"
    return {
        float(key.removeprefix(start).removesuffix(end)): score
        for key, score in record.items()
        if key.startswith(start)
    }


def tuned_rate(record, optimizer):
    rate = tune.best(_validation(record, optimizer))
    if rate is None:
        raise KeyError(f"{optimizer} has not been tuned")
    return rate


def best_validation(record):
    return max(
        low(score)
        for optimizer in MIDDLE
        for score in _validation(record, optimizer).values()
    )


def choose(records, optimizer):
    """The numbers of a grid that do best on the validation data of half the tasks."""
    return max(GRIDS[optimizer], key=lambda row: quality(records, optimizer, row))


def one_rate(records):
    """A tuned optimizer → numbers like a grid's, of rates tried on all that choose."""
    return {
        optimizer: [
            {"learning_rate": rate}
            for rate in _validation(records[CHOOSING[0]], optimizer)
            if all(rate in _validation(records[t], optimizer) for t in CHOOSING)
        ]
        for optimizer in MIDDLE
    }


def quality(records, optimizer, numbers):
    """Minus how often they diverge, how often they are close, minus the shortfall."""
    key = run_key("validation", optimizer, numbers, TUNING_SEED)
    diverged = [
        task
        for task in CHOOSING
        if records[task][key] is None and (optimizer, task) != ("asgld", RAW)
    ]
    shortfalls = [
        best_validation(records[task]) - low(records[task][key]) for task in CHOOSING
    ]
    close = sum(shortfall <= WITHIN for shortfall in shortfalls)
    return -len(diverged), close, -statistics.fmean(shortfalls)


def low(score):
    """A score, -1 for those below and for runs that diverged."""
    return -1.0 if score is None else max(score, -1.0)


def finished(records):
    """The tasks of which a seed's runs on test data are there, and those seeds.

    Only seeds that all of the tasks have.
    """
    seeds = {task: _finished_seeds(records, task) for task in SETUPS}
    tasks = [task for task in SETUPS if seeds[task]]
    return tasks, [seed for seed in SEEDS if all(seed in seeds[task] for task in tasks)]


def _finished_seeds(records, task):
    try:
        wanted = list(rows(records, task).values())
    except KeyError:  # nothing can be chosen yet
        return []
    return [
        seed
        for seed in SEEDS
        if all(run_key("test", *row, seed) in records[task] for row in wanted)
    ]


def measured(records):
    """A row's name → finished task → mean test score, and how many runs diverged."""
    found = {}
    tasks, seeds = finished(records)
    for task in tasks:
        for name, row in rows(records, task).items():
            scores = [records[task][run_key("test", *row, seed)] for seed in seeds]
            mean = statistics.fmean(low(score) for score in scores)
            found.setdefault(name, {})[task] = mean, scores.count(None)
    return found


def best_tuned(found, task):
    return max(found[f"{optimizer}, tuned"][task][0] for optimizer in MIDDLE)


def summary(found, name, tasks):
    """Over these tasks: close, mean shortfall, worst shortfall, diverged runs."""
    shortfalls = [best_tuned(found, task) - found[name][task][0] for task in tasks]
    return (
        sum(shortfall <= WITHIN for shortfall in shortfalls),
        statistics.fmean(max(shortfall, 0.0) for shortfall in shortfalls),
        max(shortfalls),
        sum(found[name][task][1] for task in tasks),
    )


def tables(records):
    """Markdown: how close each row comes on all tasks and each half, and its scores."""
    found = measured(records)
    tasks, seeds = finished(records)
    halves = [
        [task for task in tasks if (task in CHOOSING) == drawn]
        for drawn in (True, False)
    ]
    head = ["within 1 point", "mean shortfall", "worst", "runs diverged"]
    head += ["the half that chose", "the other half"]
    close = [["optimizer", *head], ["---", *["---:"] * len(head)]]
    scores = [["optimizer", *(f"{t} ¹" if t in CHOOSING else t for t in tasks)]]
    scores.append(["---", *["---:"] * len(tasks)])
    for name, results in found.items():
        count, shortfall, worst, diverged = summary(found, name, tasks)
        row = [f"{count} of {len(tasks)}", f"{100 * shortfall:.1f}"]
        row += [f"{100 * worst:.1f}", f"{diverged} of {len(tasks) * len(seeds)}"]
        for half in halves:
            count, shortfall, *_ = summary(found, name, half) if half else (0, 0.0)
            row.append(f"{count} of {len(half)}, {100 * shortfall:.1f}")
        close.append([name, *row])
        cells = []
        for task, (mean, _) in results.items():
            text = f"{100 * mean:.1f}"
            near = mean >= best_tuned(found, task) - WITHIN
            cells.append(f"**{text}**" if near else text)
        scores.append([name, *cells])
    return "\n".join(
        "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
        for lines in (close, scores)
    )


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
        if finished(records)[0]:
            files.write(out.with_suffix(".md"), tables(records))

    @functools.cache
    def trainer(task):
        return Trainer(SETUPS[task], arguments.data_dir)

    tf.config.experimental.enable_op_determinism()
    print(f"the half that chooses: {', '.join(CHOOSING)}", flush=True)
    Study(records, trainer, keep).run()
    # The tuned three too, at one rate for all tasks, for a fair comparison.
    for optimizer, tried in (GRIDS | one_rate(records)).items():
        for numbers in tried:
            _, close, shortfall = quality(records, optimizer, numbers)
            print(optimizer, *numbers.values(), close, f"{-shortfall:.4f}")
    print(tables(records))


if __name__ == "__main__":
    main()
