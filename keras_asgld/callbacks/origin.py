"""What tells a run from others, to whose members its own must not be added."""

import hashlib

import keras

from keras_asgld.callbacks.steps import inner_optimizer

# Of an origin: the noise goes through checkpoints with the optimizer, and the weights
# are those that the run began with.
NAMES = ("noise", "weights")


def origin(model, step):
    """A dict of `NAMES`, digests, or `None` for what is not known.

    Args:
        model: A Keras model.
        step: How many steps its optimizer has made.
    """
    noise = getattr(inner_optimizer(model.optimizer), "noise_words", None)
    begins = model.built and not step
    return {
        # Of the first variable, for a model of other variables is refused as such.
        "noise": None if noise is None else _digest([noise[0]]),
        "weights": _digest(model.get_weights()) if begins else None,
    }


def is_same_run(listed, own, step):
    """Whether members are those of a run that begins after that many steps.

    Args:
        listed: The origin of the members, or `None` if they have none.
        own: That of the run.
        step: As in `origin`.
    """
    if not step:
        return listed == own and own["weights"] is not None
    return listed is None or listed["noise"] == own["noise"]


def _digest(arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(keras.ops.convert_to_numpy(array).tobytes())
    return found.hexdigest()
