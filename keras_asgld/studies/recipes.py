"""Frozen experiments by name: what `compare --recipe=NAME` runs.

A recipe fixes everything that decides a number but the seeds; `compare` refuses other
flags beside it.
"""

import dataclasses

from keras_asgld.runs.optimizers import CONTROLS, FAST_CONTROLS


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A frozen comparison.

    Attributes:
        about: One line of what it is.
        flags: The flags of `compare` that it fixes, by name.
        curves: A picture's file name → the optimizers whose curves it shows. None
            draws one picture of all.
        points: Whether the picture shows each run's final accuracy instead.
        clock: Whether the curves are drawn by time, too.
        unless_given: Flags of `FREE` with another default than without a recipe.
    """

    about: str
    flags: dict
    curves: dict | None = None
    points: bool = False
    clock: bool = False
    unless_given: dict = dataclasses.field(default_factory=dict)


# What a user may still choose beside a recipe.
FREE = (
    "recipe",
    "seeds",
    "tuned",
    "data_dir",
    "out_dir",
    "jit_compile",
    "mixed_precision",
)

# The paper's Figures 1 and 2, and the samplers that it stands on.
_PAPER_CURVES = {
    "against-sgd.png": ("asgld", "asgld-paper", "sgd", "momentum"),
    "against-adaptive.png": ("asgld", "adam", "adagrad", "amsgrad"),
    "against-samplers.png": ("asgld", "sgld", "psgld", "sghmc"),
}
_PAPER_OPTIMIZERS = list(dict.fromkeys(sum(_PAPER_CURVES.values(), ())))
_PAPER = {
    "dataset": "cifar10",
    "optimizers": _PAPER_OPTIMIZERS,
    "epochs": 200,
    "batch_size": 128,
    "drop_epochs": ["150"],
    "drop_factor": 0.1,
    "weight_decay": 5e-4,
}
# 3,000 pictures of 16 x 16 and six epochs with the drop after the fourth: what two
# cores train in half a minute.
_SMALL = _PAPER | {
    "model": "cnn-narrow",
    "image_size": 16,
    "train_size": 3000,
    "epochs": 6,
    "batch_size": 64,
    "drop_epochs": ["4"],
}

# Figures 1 and 2 in form, at real accuracy.
_FAST_CURVES = {
    "against-sgd.png": ("asgld", "scale-free-asgld", "sgd", "nesterov"),
    "against-adaptive.png": (
        "asgld",
        "scale-free-asgld",
        "adam",
        "adamw",
        "adagrad",
        "amsgrad",
        "lion",
    ),
}
# What airbench94 is trained with, but for its averaging of weights. Its decay of .0153
# is published beside a rate of 11.5, of a loss that is a sum; this is of a mean.
_FAST = {
    "dataset": "cifar10",
    "augment": "alternating",
    "optimizers": list(dict.fromkeys(sum(_FAST_CURVES.values(), ()))),
    "epochs": 12,
    "batch_size": 1024,
    "schedule": "triangle",
    "label_smoothing": 0.2,
    "weight_decay": 0.00133,
}
_FAST_TINY = _FAST | {"model": "airbench-tiny", "epochs": 8}
_FAST_UNLESS_GIVEN = {"mixed_precision": "auto", "jit_compile": "elementwise"}

RECIPES = {
    "paper-resnet34": Recipe(
        "the paper's protocol on CIFAR-10 with ResNet-34",
        _PAPER | {"model": "resnet34"},
        _PAPER_CURVES,
    ),
    "paper-densenet121": Recipe(
        "the paper's protocol on CIFAR-10 with DenseNet-121",
        _PAPER | {"model": "densenet121"},
        _PAPER_CURVES,
    ),
    "paper-small": Recipe("the same, scaled to two cores", _SMALL, _PAPER_CURVES),
    "cifar10-fast": Recipe(
        "CIFAR-10 in minutes on two cores with bfloat16",
        _FAST | {"model": "airbench-narrow"},
        _FAST_CURVES,
        clock=True,
        unless_given=_FAST_UNLESS_GIVEN,
    ),
    "cifar10-fast-large": Recipe(
        "the same with the network that is known to reach 94 %",
        _FAST | {"model": "airbench"},
        _FAST_CURVES,
        clock=True,
        unless_given=_FAST_UNLESS_GIVEN,
    ),
    "cifar10-fast-tiny": Recipe(
        "the same in five minutes on any two cores, in float32",
        _FAST_TINY,
        _FAST_CURVES,
        clock=True,
    ),
    "controls-small": Recipe(
        "ASGLD taken apart, on the task of paper-small",
        # Decoupled decay goes with the learning rate, which differs among them.
        _SMALL | {"optimizers": list(CONTROLS), "weight_decay": 0.0},
        points=True,
    ),
    "controls-fast-tiny": Recipe(
        "Nesterov's SGD with and without noise, on the task of cifar10-fast-tiny",
        _FAST_TINY | {"optimizers": list(FAST_CONTROLS)},
        points=True,
    ),
}
