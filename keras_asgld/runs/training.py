"""One run: settings in, a record out, resumable at every epoch."""

import contextlib
import dataclasses
import hashlib
import math
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from keras_asgld.runs import (
    building,
    checkpoints,
    environment,
    files,
    fine_tuning,
    probabilities,
    record_contents,
    records,
    strategies,
    tasks,
    transfer,
    views,
    watching,
)
from keras_asgld.runs.files import ExperimentError

WEIGHTS = "model.weights.h5"
# What a checkpoint says of its run, as the record does.
_IDENTITY = ("settings", "initial_weights_sha256")


def run(
    settings,
    folder,
    data,
    progress,
    keep_weights=False,
    tensorboard=False,
    network=None,
):
    """Train one network and return its record, which is also in `folder`.

    Every finished epoch leaves a checkpoint and a record. Called again with the
    same settings, a run goes on from its last finished epoch and ends with the
    weights and numbers of an uninterrupted one; a finished run is only read.

    Args:
        settings: The run's `Settings`.
        folder: Where the record and the checkpoints go; made if missing.
        data: What `keras_asgld.data.load` returned, whatever its seed.
        progress: A `Progress`, told of every step, epoch and warning.
        keep_weights: Whether to leave the final weights as `model.weights.h5`.
        tensorboard: Whether to leave event files for TensorBoard.
        network: A function of a seed that builds the network, if it has no name.

    Returns:
        The record, a dict as `records` describes it, `"finished"` or, where the
        loss stopped being finite, `"failed"`.

    Raises:
        ExperimentError: `folder` holds a run with other settings or a corrupt
            record, cannot be written, or another process is at it.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(building.fused(settings))
        place = folder = stack.enter_context(files.new_folder(folder))
        if not strategies.is_chief(settings.strategy):
            # Reading the variables takes all workers, so all save; one of them counts.
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(files.locked(place))
        others = keep_weights, tensorboard, network
        return _run(settings, folder, place, data, progress, *others)


def _run(settings, folder, place, data, progress, keep_weights, tensorboard, network):
    """`run`, which reads from `folder` and writes to `place`."""
    fine_tuning.check_backend(settings)
    files.remove_partial(place)
    before = records.read(folder)
    records.check_same(folder, before, settings)
    records.check_backend(folder, before, keras.backend.backend())
    progress.begin(settings, before)
    if before is not None and before["status"] != "running":
        if keep_weights:
            _check_weights(folder, before)
        checkpoints.remove(place)
        watching.remove_members(place)
        progress.end(before)
        return before

    data = dataclasses.replace(data, seed=settings.seed)
    jit_compile = building.is_compiled(settings)
    if data.before is not None:
        building.make_deterministic(0, jit_compile)
        network = network or transfer.network(settings.model, data, jit_compile)
    building.make_deterministic(settings.seed, jit_compile)
    strategy = strategies.make(settings.strategy)
    with strategy.scope():
        model = building.build(settings, data, jit_compile, network)
    record = _new_record(settings, data, model)
    epochs = record["epochs"]
    restored = checkpoints.load(folder, progress.warn)
    if restored is not None:
        _, arrays, notes = restored
        epochs[:] = _own_epochs(folder, notes, before, record, settings)
        _assign(_state(model), arrays, folder)
        progress.resume(len(epochs))
    elif before is not None and before["epochs"]:
        progress.warn(
            f"{folder}: no checkpoint of the {len(before['epochs'])} epochs on record "
            "is there, so they are trained again"
        )
    if settings.ensemble:
        watching.check_members(settings, folder, place, len(epochs), model)
    records.write(place, record)

    recorder = _Recorder(record, place, progress)
    left = len(epochs) < settings.epochs and not _diverged(epochs)
    if left and settings.strategy == "multiworker":
        from keras_asgld.runs import multi_worker

        span = len(epochs), settings.epochs
        multi_worker.fit(model, strategy, data, settings, *span, recorder)
    elif left:
        model.fit(
            data.train(initial_epoch=len(epochs)),
            initial_epoch=len(epochs),
            epochs=settings.epochs,
            steps_per_epoch=data.steps_per_epoch,
            validation_data=getattr(data, settings.judged_on)(),
            callbacks=[
                *watching.callbacks(settings, place, model.optimizer, tensorboard),
                recorder,
                *fine_tuning.callbacks(settings, model, progress.warn),
            ],
            shuffle=False,  # the pipeline has done it
            verbose=0,
        )
    record["status"] = "failed" if _diverged(epochs) else "finished"
    if _diverged(epochs):
        record["failure"] = f"the loss was not finite in epoch {len(epochs)}"
    elif settings.ensemble:
        watching.check_members(settings, folder, place, settings.epochs, model)
        ensemble = watching.ensemble(settings, place)
        ensemble.set_model(model)
        record["calibration"] = probabilities.measure(model, ensemble, data)
    if settings.by_views and record["status"] == "finished":
        record["views"] = views.measure(model, data)
    if keep_weights:
        with files.replacing(place / WEIGHTS) as partial:
            model.save_weights(partial)
        record["weights_sha256"] = _digest(place / WEIGHTS)
    records.write(place, record)
    checkpoints.remove(place)
    watching.remove_members(place)
    progress.end(record)
    return record


class _Recorder(keras.callbacks.Callback):
    """Adds each epoch's numbers to the record and leaves a checkpoint."""

    def __init__(self, record, folder, progress):
        super().__init__()
        self.judged_on = record_contents.part(record["settings"])
        self.metric = tasks.score(record["settings"]).metric
        self.record = record
        self.folder = folder
        self.progress = progress

    def on_epoch_begin(self, epoch, logs=None):
        self.ends = [time.perf_counter()]
        # At the epoch's end the schedule already gives the next epoch's rate.
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self.learning_rate = float(f"{float(rate):.7g}")  # float32 knows no more digits

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())
        self.progress.step(len(self.ends) - 1)
        if not math.isfinite(logs["loss"]):
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        # Without the first step, which includes compiling; a median, since the last
        # one, whose batch is smaller, may include it too.
        steps = np.diff(self.ends)[1:]
        numbers = {
            "epoch": epoch + 1,
            "learning_rate": self.learning_rate,
            "train_loss": _number(logs["loss"]),
            f"train_{self.metric}": _number(logs[self.metric]),
            f"{self.judged_on}_loss": _number(logs["val_loss"]),
            f"{self.judged_on}_{self.metric}": _number(logs[f"val_{self.metric}"]),
            "seconds": self.ends[-1] - self.ends[0],
            "step_seconds": float(np.median(steps)) if steps.size else None,
        }
        noise = {name: logs[name] for name in watching.NOISE if name in logs}
        if noise:
            numbers["noise"] = {name: _number(value) for name, value in noise.items()}
        epochs = self.record["epochs"]
        epochs.append(numbers)
        if _diverged(epochs):
            self.model.stop_training = True
        # The checkpoint comes first and holds the numbers too, so that a kill
        # between the two writes loses nothing.
        arrays = [variable.numpy() for variable in _state(self.model)]
        notes = {name: self.record[name] for name in _IDENTITY} | {"epochs": epochs}
        checkpoints.save(self.folder, epoch + 1, arrays, notes)
        records.write(self.folder, self.record)
        self.progress.epoch(numbers)


def _state(model):
    """Every variable that the next epoch depends on, in a fixed order.

    The model's own include batch-norm statistics and the state of dropout's
    generators; metrics start afresh in each epoch.
    """
    return [*model.variables, *model.optimizer.variables]


def _own_epochs(folder, notes, before, record, settings):
    """The epochs of a checkpoint, once it has been checked to be of this very run.

    Raises:
        ExperimentError: It is of a run with other settings or other initial weights.
    """
    if isinstance(notes, list):  # written by a version that did not say
        if before is None:
            raise ExperimentError(
                f"{folder} holds checkpoints and no record of what they are of: "
                "choose another --out_dir or remove it"
            )
        return notes
    records.check_same(folder, notes, settings)
    if notes["initial_weights_sha256"] != record["initial_weights_sha256"]:
        raise ExperimentError(
            f"the checkpoint in {folder} began with other initial weights, those of "
            "another version of Keras or another machine: choose another --out_dir or "
            "remove it"
        )
    return notes["epochs"]


def _check_weights(folder, record):
    """Refuse to call a run finished if its weights are missing or damaged."""
    path = folder / WEIGHTS
    try:
        sound = record.get("weights_sha256") in (None, _digest(path))
    except OSError as error:
        raise ExperimentError(
            f"{path}: {files.reason(error)}, though the run is finished; remove "
            f"{folder} and train again, or choose another --out_dir"
        ) from error
    if not sound:
        raise ExperimentError(
            f"{path} is damaged or of another run; remove {folder} and train again, or "
            "choose another --out_dir"
        )


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _assign(variables, arrays, folder):
    if [tuple(v.shape) for v in variables] != [a.shape for a in arrays]:
        raise ExperimentError(f"the checkpoint in {folder} is of another network")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _new_record(settings, data, model):
    digest = hashlib.sha256()
    for variable in model.trainable_variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return {
        "format": record_contents.FORMAT,
        "status": "running",
        "settings": settings.to_json(),
        "versions": environment.versions(),
        "machine": environment.machine(),
        "compute_dtype": settings.mixed_precision or "float32",
        "data": {
            "train_size": data.train_size,
            f"{settings.judged_on}_size": getattr(data, f"{settings.judged_on}_size"),
            "steps_per_epoch": data.steps_per_epoch,
        },
        "trainable_weights": sum(
            math.prod(variable.shape) for variable in model.trainable_variables
        ),
        "initial_weights_sha256": digest.hexdigest(),
        "epochs": [],
    }


def _diverged(epochs):
    return bool(epochs) and any(
        value is None
        for name, value in epochs[-1].items()
        if name.startswith(("train_", "test_", "validation_"))
    )


def _number(value):
    """A float that JSON can hold; None where the run has diverged."""
    return float(value) if math.isfinite(value) else None
