"""The optimizers by name, with the settings of the paper's protocol.

The table is data: an optimizer is added by one row. Classes are named, not
imported, so that the command can list them without loading Keras.
"""

import dataclasses
import functools
import importlib

from keras_asgld.runs import stages


@dataclasses.dataclass(frozen=True)
class Named:
    """How an optimizer is made when its name is all that is given.

    Attributes:
        path: Where the class is, as `module.Class`.
        hyperparameters: What a user may override, by the command's names, with
            the defaults. A value of `{model prefix: value, "": value}` depends
            on the model, and `POSTERIOR` on the number of training examples.
        arguments: The constructor's other arguments, where they differ from
            the class's defaults.
        names: The constructor's name of a hyperparameter, where it differs.
        decay: `"coupled"` (the decay is part of the gradient, as in the paper's
            protocol) or `"decoupled"`, when the user does not choose.
        seeded: Whether the constructor takes a `seed`.
        new_layer_rate: The learning rate of a new layer on pretrained features, which
            are many and of one sign, so that steps in proportion to the gradient
            have to be small.
        unfreeze_rate: The learning rate once the pretrained part learns too.
    """

    path: str
    hyperparameters: dict
    arguments: dict = dataclasses.field(default_factory=dict)
    names: dict = dataclasses.field(default_factory=dict)
    decay: str = "coupled"
    seeded: bool = False
    new_layer_rate: float = 0.001
    unfreeze_rate: float = 3e-5


# Learning rates, epsilons and Adam's beta_1 of .99 on ResNets are the protocol
# of arXiv 1906.04324 and of the stored curves it compares with. On the digits,
# where a run has 230 steps, the rates are those that `tune` found on validation
# data (docs/results/digits-tuning); adamw, amsgrad and psgld have adam's. On the
# airbench networks nesterov has the published numbers, and asgld the same rate at a
# noise that stands it. Those two, scale-free-asgld and adam are as `tune` left them on
# the smallest (docs/results/cifar10-fast-tiny-tuning); the others' are first tries.
POSTERIOR = "1 / training examples"
_ADAM_RATE = {"digits": 0.003162, "airbench": 0.006, "": 0.001}
_SGD_RATE = {"digits": 1.0, "airbench": 1.5, "": 0.1}
_NESTEROV = {"airbench": 0.85, "": 0.9}
_BETA_1 = {"resnet": 0.99, "": 0.9}
_ADAM_NAMES = {"momentum": "beta_1"}

OPTIMIZERS = {
    "asgld": Named(
        "keras_asgld.optimizers.ASGLD",
        {
            "learning_rate": _SGD_RATE | {"digits": 0.3162},
            "momentum": _NESTEROV,
            "noise": {"airbench": 1.0, "": 3.0},
        },
        decay="decoupled",
        seeded=True,
        new_layer_rate=0.005,
        unfreeze_rate=1e-4,
    ),
    "sgd": Named(
        "keras.optimizers.SGD",
        {"learning_rate": _SGD_RATE | {"airbench": 5.0}},
        new_layer_rate=0.02,
        unfreeze_rate=1e-4,
    ),
    "momentum": Named(
        "keras.optimizers.SGD",
        {"learning_rate": 0.1, "momentum": 0.9},
        new_layer_rate=0.002,
        unfreeze_rate=1e-4,
    ),
    "nesterov": Named(
        "keras.optimizers.SGD",
        {"learning_rate": {"airbench": 1.5, "": 0.1}, "momentum": _NESTEROV},
        arguments={"nesterov": True},
        new_layer_rate=0.002,
        unfreeze_rate=1e-4,
    ),
    "adam": Named(
        "keras.optimizers.Adam",
        {"learning_rate": _ADAM_RATE, "momentum": _BETA_1},
        arguments={"epsilon": 1e-8},
        names=_ADAM_NAMES,
    ),
    "adamw": Named(
        "keras.optimizers.AdamW",
        {"learning_rate": _ADAM_RATE, "momentum": _BETA_1},
        arguments={"epsilon": 1e-8, "weight_decay": 0.0},
        names=_ADAM_NAMES,
        decay="decoupled",
    ),
    "adagrad": Named(
        "keras.optimizers.Adagrad",
        {"learning_rate": {"digits": 0.03162, "airbench": 0.03, "": 0.01}},
        arguments={"initial_accumulator_value": 0.0, "epsilon": 1e-10},
        new_layer_rate=0.01,
        unfreeze_rate=1e-4,
    ),
    "amsgrad": Named(
        "keras.optimizers.Adam",
        {"learning_rate": _ADAM_RATE, "momentum": _BETA_1},
        arguments={"epsilon": 1e-8, "amsgrad": True},
        names=_ADAM_NAMES,
    ),
    "rmsprop": Named("keras.optimizers.RMSprop", {"learning_rate": _ADAM_RATE}),
    "lion": Named(
        "keras.optimizers.Lion",
        {"learning_rate": 0.001, "momentum": 0.9},
        names=_ADAM_NAMES,
        decay="decoupled",
        new_layer_rate=0.0002,
        unfreeze_rate=1e-5,
    ),
    # At temperature 0 these are the protocol's SGD, RMSprop but for its first steps,
    # and momentum SGD; the coupled decay is the posterior's prior. The paper's SGLD has
    # one noise for all rates, `temperature = sigma**2 / (2 * learning_rate)`.
    "sgld": Named(
        "keras_asgld.optimizers.SGLD",
        {"learning_rate": 0.1, "temperature": POSTERIOR},
        seeded=True,
        new_layer_rate=0.01,
        unfreeze_rate=1e-4,
    ),
    "psgld": Named(
        "keras_asgld.optimizers.PSGLD",
        {"learning_rate": _ADAM_RATE, "temperature": POSTERIOR},
        arguments={"rho": 0.99},  # the paper's
        seeded=True,
        new_layer_rate=0.0003,
    ),
    "sghmc": Named(
        "keras_asgld.optimizers.SGHMC",
        {"learning_rate": 0.1, "momentum": 0.9, "temperature": POSTERIOR},
        seeded=True,
        unfreeze_rate=1e-4,
    ),
    # The numbers that the paper's published code names as its best for CIFAR-10.
    "asgld-paper": Named(
        "keras_asgld.optimizers.ASGLD",
        {"learning_rate": 0.1, "momentum": 0.9, "noise": 0.01},
        decay="decoupled",
        seeded=True,
        new_layer_rate=0.02,
        unfreeze_rate=1e-4,
    ),
    "scale-free-asgld": Named(
        "keras_asgld.optimizers.ScaleFreeASGLD",
        {
            "learning_rate": _ADAM_RATE | {"airbench": 0.009487},
            "momentum": 0.95,
            "noise": {"airbench": 1.0, "": 3.0},
        },
        decay="decoupled",
        seeded=True,
        new_layer_rate=0.00025,
    ),
    "sgnht": Named(
        "keras_asgld.optimizers.SGNHT",
        {"learning_rate": 0.1, "momentum": 0.9, "temperature": POSTERIOR},
        seeded=True,
        unfreeze_rate=1e-4,
    ),
    "baoa": Named(
        "keras_asgld.optimizers.BAOA",
        {"learning_rate": 0.1, "momentum": 0.9, "temperature": POSTERIOR},
        seeded=True,
        unfreeze_rate=1e-4,
    ),
}

# The study's controls: ASGLD at one effective step, learning_rate * (1 + noise), taken
# apart. Keras's momentum SGD has that effective step divided by 1 - momentum.
EFFECTIVE_STEP = 0.4
# Its mean alone is then Nesterov's SGD, at the longest step that the noise stood.
FAST_EFFECTIVE_STEP = 0.4743 / (1 - 0.85)


def _control(noise, momentum=0.9, step=EFFECTIVE_STEP, **arguments):
    rate = step / (1 + noise)
    return Named(
        "keras_asgld.runs.controls.Control",
        {"learning_rate": rate, "momentum": momentum, "noise": noise},
        arguments=arguments,
        decay="decoupled",
        seeded=True,
    )


CONTROLS = {
    "psi=0 (SGD)": _control(0.0),
    "psi=1": _control(1.0),
    "psi=3": _control(3.0),
    "psi=10": _control(10.0),
    "psi=3, mean alone": _control(3.0, kind="none"),
    "psi=3, noise alone": _control(3.0, mean=False),
    "psi=3, isotropic": _control(3.0, kind="isotropic"),
    "psi=10, mean alone": _control(10.0, kind="none"),
    "psi=3, rho=0.5": _control(3.0, momentum=0.5),
    "psi=3, rho=0.99": _control(3.0, momentum=0.99),
    "momentum SGD": Named(
        "keras.optimizers.SGD",
        {"learning_rate": EFFECTIVE_STEP * (1 - 0.9), "momentum": 0.9},
        decay="decoupled",
    ),
}
_as_nesterov = functools.partial(
    _control, 0.85 / (1 - 0.85), momentum=0.85, step=FAST_EFFECTIVE_STEP
)
FAST_CONTROLS = {
    "psi=5.67": _as_nesterov(),
    "psi=5.67, mean alone": _as_nesterov(kind="none"),
    "psi=5.67, isotropic": _as_nesterov(kind="isotropic"),
    "psi=5.67, noise alone": _as_nesterov(mean=False),
}
ALL = OPTIMIZERS | CONTROLS | FAST_CONTROLS

HYPERPARAMETERS = tuple(
    dict.fromkeys(name for row in OPTIMIZERS.values() for name in row.hyperparameters)
)


def hyperparameters(optimizer, model, overrides, examples, new_layer=False):
    """The values an optimizer is run with: the row's, then the user's.

    Args:
        optimizer: A name in `ALL`.
        model: The model's name.
        overrides: Values by hyperparameter name; the optimizer must take each.
        examples: How many examples a run trains on.
        new_layer: Whether the run begins with a new layer on pretrained features.
    """
    row = ALL[optimizer]
    defaults = row.hyperparameters
    if new_layer:
        defaults = defaults | {"learning_rate": row.new_layer_rate}
    values = {}
    for name, default in defaults.items():
        if isinstance(default, dict):
            prefix = next(prefix for prefix in default if model.startswith(prefix))
            default = default[prefix]
        if default == POSTERIOR:
            default = 1 / examples
        values[name] = float(overrides.get(name, default))
    return values


def make(settings, steps_per_epoch):
    """The Keras optimizer of one run, with its schedule and weight decay."""
    row = ALL[settings.optimizer]
    module, _, name = row.path.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    arguments = dict(row.arguments)
    for key, value in settings.hyperparameters.items():
        arguments[row.names.get(key, key)] = value
    arguments["learning_rate"] = _schedule(settings, steps_per_epoch)
    if row.seeded:
        arguments["seed"] = settings.seed
    if settings.weight_decay and settings.weight_decay_mode == "decoupled":
        arguments["weight_decay"] = settings.weight_decay
    elif settings.weight_decay:
        from keras_asgld.runs.decay import coupled

        cls = coupled(cls, settings.weight_decay)
    return cls(**arguments)


def _schedule(settings, steps_per_epoch):
    """The learning rate, dropping after each drop epoch and on unfreezing."""
    import keras

    if settings.schedule == "triangle":
        from keras_asgld.runs.triangle import Triangle

        peak = settings.hyperparameters["learning_rate"]
        return Triangle(peak, settings.epochs * steps_per_epoch)
    rates = stages.rates(settings)
    first, *others = rates
    if not others:
        return rates[first]
    # PiecewiseConstantDecay keeps the old value while step <= boundary, and the
    # first step after `epoch` whole epochs has number epoch * steps_per_epoch.
    boundaries = [epoch * steps_per_epoch - 1 for epoch in others]
    values = list(rates.values())
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
