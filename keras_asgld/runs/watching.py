"""The callbacks that watch a run, as its settings ask for them."""

import shutil
from pathlib import Path

import keras

from keras_asgld.callbacks import NoiseMonitor, WeightEnsemble
from keras_asgld.callbacks.probe import Probe
from keras_asgld.runs.files import ExperimentError

MEMBERS = "members"
TENSORBOARD = "tensorboard"
NOISE = (
    "noise_norm",
    "gradient_norm",
    "noise_to_gradient",
    "mean_share",
    "variance_share",
    "temperature",
    "effective_learning_rate",
)


def callbacks(settings, folder, optimizer, tensorboard):
    """The callbacks to put before the one that leaves checkpoints.

    Args:
        settings: The run's `Settings`.
        folder: The run's folder.
        optimizer: The optimizer; one that is not of the family has no noise to show.
        tensorboard: Whether to write event files.
    """
    chosen = []
    if settings.monitor and Probe.takes(optimizer):
        chosen.append(NoiseMonitor())
    if settings.ensemble:
        chosen.append(ensemble(settings, folder))
    if tensorboard:
        path = Path(folder) / TENSORBOARD
        chosen.append(keras.callbacks.TensorBoard(path, write_graph=False))
    return chosen


def ensemble(settings, folder):
    """The `WeightEnsemble` of the run's last epochs."""
    return WeightEnsemble(
        Path(folder) / MEMBERS,
        burn_in=settings.epochs - settings.ensemble,
        max_members=settings.ensemble,
    )


def check_members(settings, folder, place, epochs, model):
    """Refuse to go on if members that the epochs so far have left are lost or damaged.

    Args:
        settings: The run's `Settings`, with an `ensemble`.
        folder: The run's folder, for the message.
        place: Where the members are.
        epochs: How many epochs are finished.
        model: The run's network.

    Raises:
        ExperimentError: There are fewer than there should be, or one cannot be read.
    """
    wanted = max(0, epochs - (settings.epochs - settings.ensemble))
    try:
        members = ensemble(settings, place).members
        there = len(members.steps())
        for step in members.steps():
            members.read(step, model)
    except ValueError as error:
        raise ExperimentError(f"{error}; remove {folder} and begin again") from error
    if there < wanted:
        raise ExperimentError(
            f"{Path(folder) / MEMBERS} holds {there} of the {wanted} members that "
            f"{epochs} epochs left: an ensemble of {settings.ensemble} cannot be had "
            f"from here; remove {folder} and give the same command again"
        )


def remove_members(folder):
    shutil.rmtree(Path(folder) / MEMBERS, ignore_errors=True)
