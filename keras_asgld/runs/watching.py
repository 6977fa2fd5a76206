"""The callbacks that watch a run, as its settings ask for them."""

import shutil
from pathlib import Path

import keras

from keras_asgld.callbacks import NoiseMonitor, WeightEnsemble
from keras_asgld.callbacks.probe import Probe

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
    """What is to stand before the callback that leaves checkpoints.

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


def remove_members(folder):
    shutil.rmtree(Path(folder) / MEMBERS, ignore_errors=True)
