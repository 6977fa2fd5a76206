"""What defines one run. Equal settings give equal runs."""

import dataclasses
import functools
import math

from keras_asgld.checks import (
    LARGEST_FLOAT32,
    check_choice,
    check_float32,
    require,
)
from keras_asgld.runs import environment, stages
from keras_asgld.runs import optimizers as named
from keras_asgld.runs.files import ExperimentError
from keras_asgld.runs.tasks import ACCURACY, NOT_FOR_PICTURES, TAKEN, TASKS

# What TensorFlow counts in 32 bits; pictures of a longer side fill the memory.
LARGEST = 2**31 - 1
LARGEST_PICTURE = 4096
SCHEDULES = ("steps", "triangle")
AUGMENTS = ("random", "alternating")
STRATEGIES = ("one", "mirrored", "multiworker")
JIT_COMPILE = ("auto", "on", "off", "elementwise")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides the numbers of one run, and nothing else.

    `image_size` and `train_size` of None leave the data set as it is. `ensemble` is
    the number of last epochs whose weights are averaged over, or None; `monitor` is
    True where the noise is measured, else None. With a `validation_size` the run is
    judged on that many training examples, which it is not trained on, and never sees
    the test set.
    """

    dataset: str
    model: str
    optimizer: str
    hyperparameters: dict
    seed: int
    epochs: int
    batch_size: int
    image_size: int | None
    train_size: int | None
    weight_decay: float
    weight_decay_mode: str
    drop_epochs: list
    drop_factor: float
    jit_compile: str
    strategy: str = "one"
    fine_tuning: dict | None = None
    mixed_precision: str | None = None
    ensemble: int | None = None
    monitor: bool | None = None
    validation_size: int = 0
    schedule: str = "steps"
    label_smoothing: float = 0.0
    augment: str = "random"

    def __post_init__(self):
        _known("dataset", self.dataset, TASKS)
        _known("optimizer", self.optimizer, named.ALL)
        _known("weight_decay_mode", self.weight_decay_mode, ("coupled", "decoupled"))
        _known("jit_compile", self.jit_compile, JIT_COMPILE)
        _known("strategy", self.strategy, STRATEGIES)
        _known("schedule", self.schedule, SCHEDULES)
        _known("augment", self.augment, AUGMENTS)
        for name in ("epochs", "batch_size", "image_size", "train_size"):
            value = getattr(self, name)
            _check(name, value, value is None or value >= 1, "at least 1")
            most = LARGEST_PICTURE if name == "image_size" else LARGEST
            _check(name, value, value is None or value <= most, f"at most {most}")
        if self.ensemble is not None:
            good = TASKS[self.dataset].score is ACCURACY
            constraint = f"left out with --dataset={self.dataset}, which has no classes"
            _check("ensemble", self.ensemble, good, constraint)
            good = 1 <= self.ensemble <= self.epochs
            constraint = f"at least 1 and at most `epochs`, {self.epochs}"
            _check("ensemble", self.ensemble, good, constraint)
        self._check_recent()
        _check("seed", self.seed, 0 <= self.seed < 2**32, "in [0, 2**32)")
        _check(
            "validation_size",
            self.validation_size,
            self.validation_size >= 0,
            "not negative",
        )
        _check(
            "weight_decay",
            self.weight_decay,
            0 <= self.weight_decay < math.inf,
            "finite and not negative",
        )
        _check(
            "drop_factor",
            self.drop_factor,
            0 < self.drop_factor < math.inf,
            "finite and positive",
        )
        several = self.strategy == "multiworker"
        constraint = "off or auto with --strategy=multiworker"
        good = not several or self.jit_compile in ("off", "auto")
        _check("jit_compile", self.jit_compile, good, constraint)
        if several and (self.fine_tuning or TASKS[self.dataset].transfer):
            raise ExperimentError("--strategy=multiworker does not fine-tune")
        for i, epoch in enumerate(self.drop_epochs):
            after = epoch > self.drop_epochs[i - 1] if i else epoch >= 1
            _check("drop_epochs", self.drop_epochs, after, "rising and at least 1")
        numbers = {"weight_decay": self.weight_decay, "drop_factor": self.drop_factor}
        for name, value in (numbers | self.hyperparameters).items():
            _check(name, value, 0 <= value < math.inf, "finite and not negative")
            check_float32(name, value, ExperimentError)
        top = max(stages.rates(self).values())
        constraint = "a factor of rates that float32 holds"
        _check("drop_factor", self.drop_factor, top <= LARGEST_FLOAT32, constraint)
        momentum = self.hyperparameters.get("momentum", 0)
        constraint = "in the range [0, 1), and below 1 in float32 too"
        _check("momentum", momentum, momentum <= 1 - 2.0**-24, constraint)

    def _check_recent(self):
        """Check what goes with a rate that rises and falls within a few epochs."""
        task = TASKS[self.dataset]
        good = task.mirror or self.augment == "random"
        constraint = f"random with --dataset={self.dataset}, where nothing is mirrored"
        _check("augment", self.augment, good, constraint)
        smoothing = self.label_smoothing
        _check("label_smoothing", smoothing, 0 <= smoothing < 1, "in the range [0, 1)")
        good = task.score is ACCURACY or not smoothing
        constraint = f"0 with --dataset={self.dataset}, which has no classes"
        _check("label_smoothing", smoothing, good, constraint)
        if self.schedule == "triangle":
            constraint = "left out with --schedule=triangle, whose rate has no drops"
            _check("drop_epochs", self.drop_epochs, not self.drop_epochs, constraint)
            constraint = "steps for a pretrained network, which learns in two stages"
            _check("schedule", self.schedule, not self.fine_tuning, constraint)

    @property
    def label(self):
        return f"{self.optimizer} seed {self.seed}"

    @property
    def by_views(self):
        """Whether the last weights are judged by several views of a test picture too.

        They are where training has shown both sides of each picture, and its shifts.
        """
        return self.augment == "alternating" and not self.validation_size

    @property
    def judged_on(self):
        """The part of the data, besides the training part, that a run is judged on."""
        return "validation" if self.validation_size else "test"

    def to_json(self):
        return dataclasses.asdict(self)


def make(
    dataset,
    optimizer,
    *,
    model=None,
    epochs=None,
    batch_size=None,
    overrides=None,
    weight_decay_mode="auto",
    drop_epochs=None,
    flags=None,
    **others,
):
    """Settings in which every choice that the user left open is made.

    Args:
        dataset, optimizer: Names in `TASKS` and `named.ALL`.
        model, epochs, batch_size: None takes the data set's, or what is usual for a
            pretrained network.
        overrides: The user's hyperparameters for this optimizer.
        weight_decay_mode: `"auto"` takes the optimizer's.
        drop_epochs: None takes three quarters of the epochs, the paper's 150
            of 200, or none where the schedule has no drops.
        flags: The command's flags by name, for those of fine-tuning.
        **others: The remaining fields of `Settings`.
    """
    _known("dataset", dataset, TASKS)
    _known("optimizer", optimizer, named.ALL)
    task = TASKS[dataset]
    model = model or task.model
    flags, overrides, row = flags or {}, overrides or {}, named.ALL[optimizer]
    usual = task.epochs, task.batch_size
    if stages.fine_tunes(flags, model):
        usual = stages.EPOCHS, stages.BATCH_SIZE
    epochs = usual[0] if epochs is None else epochs
    if weight_decay_mode == "auto":
        weight_decay_mode = named.ALL[optimizer].decay
    if drop_epochs is None:
        drops = epochs > 1 and others.get("schedule") != "triangle"
        drop_epochs = [max(1, epochs * 3 // 4)] if drops else []
    good = all(epoch < epochs for epoch in drop_epochs)
    constraint = f"below the number of epochs, {epochs}, or the rate never drops"
    _check("drop_epochs", drop_epochs, good, constraint)
    examples = others.get("train_size") or (
        task.examples - others.get("validation_size", 0)
    )
    good = model in task.models if task.models else model not in NOT_FOR_PICTURES
    if not good:
        _known_model(model)
        fitting = " or ".join(task.models) or "a network for pictures"
        raise ExperimentError(
            f"`model` must be {fitting} with --dataset={dataset}, whose inputs are "
            f"{task.inputs}; {model} takes {TAKEN.get(model, 'pictures')}. "
            f"Received: model={model}"
        )
    chosen = stages.choose(flags, model, epochs, row.unfreeze_rate)
    fine_tuning = chosen.get("fine_tuning")
    if fine_tuning and not fine_tuning["freeze"] and "learning_rate" in overrides:
        raise ExperimentError(
            "`learning_rate` must be left out with --freeze=0, for it is the new "
            "layer's while that learns alone: give --unfreeze_rate. "
            f"Received: learning_rate={overrides['learning_rate']:g}"
        )
    if task.transfer and "/" in model:
        raise ExperimentError(
            f"`model` must be a network without weights of its own with "
            f"--dataset={dataset}. Received: model={model}"
        )
    made = Settings(
        dataset=dataset,
        model=model,
        optimizer=optimizer,
        hyperparameters=named.hyperparameters(
            optimizer,
            model,
            overrides,
            max(1, examples),
            new_layer=fine_tuning is not None,
        ),
        epochs=epochs,
        batch_size=usual[1] if batch_size is None else batch_size,
        weight_decay_mode=weight_decay_mode,
        drop_epochs=list(drop_epochs),
        **chosen,
        **others,
    )
    _known_model(model)  # last, for it takes seconds where Keras is not loaded yet
    return made


def known_optimizer(name):
    """Raise if no optimizer has that name."""
    _known("optimizers", name, named.OPTIMIZERS)


@functools.cache
def _known_model(name):
    # Imported here, since it loads Keras, and the command's help should come at once.
    environment.start_backend()
    with environment.quiet_tensorflow():
        from keras_asgld.models import building

    try:
        building.check_name("model", name)
    except ValueError as error:
        raise ExperimentError(error) from None


def _known(name, value, choices):
    check_choice(name, value, tuple(choices), ExperimentError, str)


def _check(name, value, good, constraint):
    require(good, name, value, constraint, ExperimentError, str)
