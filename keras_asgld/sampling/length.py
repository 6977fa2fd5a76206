"""Whether chains are long enough for a member."""

import math

import keras

from keras_asgld.callbacks.cycles import Cycles


def check(model, ensemble, x, epochs, others):
    """Raises `ValueError` if it is known that no member would be stored.

    Args:
        model: A compiled model.
        ensemble: The `WeightEnsemble` of a chain.
        x, epochs, others: As `Chains.fit` takes them.
    """
    first, last = ensemble.burn_in + ensemble.frequency, epochs
    if ensemble.unit != "epoch":
        steps = _steps_per_epoch(x, others)
        if steps is None:
            return
        last = steps * (epochs - others.get("initial_epoch", 0))
    if ensemble.unit == "cycle":
        last = Cycles(model).until(1, last, first)
    if last < first:
        raise ValueError(
            "`burn_in` + `frequency` must be at most what `epochs` make, or no member "
            f"is stored: {last} {ensemble.unit}s. "
            f"Received: burn_in={ensemble.burn_in}, "
            f"frequency={ensemble.frequency}, epochs={epochs}"
        )


def _steps_per_epoch(x, others):
    """An integer, or `None` where only training will tell."""
    if isinstance(others.get("steps_per_epoch"), int):
        return others["steps_per_epoch"]
    leaves = keras.tree.flatten(x)
    if leaves and all(getattr(leaf, "shape", ()) for leaf in leaves):
        left_out = others.get("validation_split") or 0
        size = math.floor(leaves[0].shape[0] * (1 - left_out))
        return math.ceil(size / (others.get("batch_size") or 32))
    count = int(x.cardinality()) if hasattr(x, "cardinality") else -1
    return count if count >= 0 else None
