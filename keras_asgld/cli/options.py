"""The command's flags: what each subcommand takes, its help, what the values mean."""

import functools
import itertools
import math
import re
import textwrap

from absl import flags

from keras_asgld.checks import require, shortened
from keras_asgld.runs import optimizers as named
from keras_asgld.runs import settings, stages, tasks
from keras_asgld.runs.files import ExperimentError
from keras_asgld.studies import recipes

_NAMES = ", ".join(named.OPTIMIZERS)
_DECOUPLED = ", ".join(
    n for n, row in named.OPTIMIZERS.items() if row.decay != "coupled"
)
_MODELS = "cnn, resnet34, applications/NAME, hub/HANDLE, …"

MOST_SEEDS = 10_000

# Group → flag → (kind, default, help). A kind that is a tuple lists the choices.
_TASK = {
    "dataset": (tuple(tasks.TASKS), "digits", "task"),
    "data_dir": (str, None, "prepared TFDS directory, or one with cifar10.npz"),
    "model": (str, None, f"{_MODELS}; by data set"),
    "image_size": (int, None, "side that pictures are scaled to"),
    "train_size": (int, None, "use only so many training examples"),
    "augment": (
        settings.AUGMENTS,
        "random",
        "mirrors by chance or by turns",
    ),
}
_TRAINING = {
    "epochs": (int, None, f"default by data set, pretrained {stages.EPOCHS}"),
    "batch_size": (
        int,
        None,
        f"examples a step; default by data set, pretrained {stages.BATCH_SIZE}",
    ),
    "drop_epochs": (list, None, "epochs after which the rate drops; default at 3/4"),
    "drop_factor": (float, 0.1, "factor of each drop"),
    "schedule": (
        settings.SCHEDULES,
        "steps",
        "the drops, or up and down",
    ),
    "label_smoothing": (float, 0.0, "share of a label spread over all classes"),
    "weight_decay": (float, 5e-4, "factor; 0 for none"),
    "weight_decay_mode": (
        ("auto", "coupled", "decoupled"),
        "auto",
        f"coupled: L2 in the gradient; auto: so but for {_DECOUPLED}",
    ),
    "jit_compile": (settings.JIT_COMPILE, "auto", "what of a step XLA compiles"),
    "mixed_precision": stages.PRECISION,
}
_HYPERPARAMETERS = {
    "learning_rate": (str, None, "default by optimizer"),
    "momentum": (
        str,
        None,
        "of asgld, momentum, sghmc, …; beta_1 of the adams",
    ),
    "noise": (str, None, "noise scale of asgld and scale-free-asgld"),
    "temperature": (str, None, "of the samplers; default 1/train examples"),
}
_WATCHING = {
    "ensemble": (int, None, "average over the last so many epochs' weights"),
    "monitor": (bool, None, "measure the noise of asgld and its family"),
    "tensorboard": (bool, None, "write event files for TensorBoard"),
}
_OVERRIDES = "Optimizers (VALUE for all, or NAME=VALUE,NAME=VALUE)"
_OPTIMIZERS = (list, "scale-free-asgld,asgld,momentum,adam", f"of {_NAMES}")
_FOLDER = "default asgld-results/DATASET-MODEL"

GROUPS = {
    "compare": {
        "Recipe": {"recipe": (tuple(recipes.RECIPES), None, "a frozen plan")},
        "Task": _TASK,
        "Training": {
            "optimizers": _OPTIMIZERS,
            "seeds": (str, "3", "how many, or a list: 0,1,7"),
            **_TRAINING,
        },
        _OVERRIDES: {
            "tuned": (str, None, "folder of tune, whose best rates to take"),
            **_HYPERPARAMETERS,
        },
        "Watching and output": {**_WATCHING, "out_dir": (str, None, _FOLDER)},
    },
    "tune": {
        "Task": {
            **_TASK,
            "validation_size": (int, None, "held out to judge on; default a fifth"),
        },
        "Training": {
            "optimizers": _OPTIMIZERS,
            "seeds": (str, "1", "how many for each rate, or a list: 0,1,7"),
            **_TRAINING,
        },
        _OVERRIDES: {
            **_HYPERPARAMETERS,
            "learning_rate": (str, None, "the grid's middle; default by optimizer"),
        },
        "Output": {"out_dir": (str, None, f"{_FOLDER}-tuning")},
    },
    "train": {
        "Task": _TASK,
        "Training": {
            "optimizer": (tuple(named.OPTIMIZERS), "asgld", "one of"),
            "seed": (int, 0, "of weights, batches and noise"),
            **_TRAINING,
            "strategy": (settings.STRATEGIES, "one", "tf.distribute strategy"),
            "worker_timeout": (int, None, "of multiworker, in seconds; default 300"),
        },
        "Fine-tuning": stages.FLAGS,
        "Optimizer": _HYPERPARAMETERS,
        "Output": {"out_dir": (str, None, f"{_FOLDER}-OPTIMIZER-seedN")},
    },
    "plot": {
        "Output": {
            "out": (str, "curves.png", "the figure to write: .png, .pdf, .svg, …"),
            "reference": (str, None, "CSV of published curves to draw beside"),
        }
    },
}
_ABOUT = {
    "compare": """keras-asgld compare [flags]
Trains several optimizers from the same weights on the same batches; writes records, a
table and curves. After an interruption the same command goes on where it stopped.""",
    "tune": """keras-asgld tune [flags]
Tries five learning rates for each optimizer, a factor of sqrt(10) apart, and more
where the best lies at an end. Judges on training examples held out, never on the
test set. After an interruption the same command goes on where it stopped.""",
    "train": """keras-asgld train [flags]
Trains one network; writes its record and final weights. After an interruption
the same command goes on after the last finished epoch.""",
    "plot": """keras-asgld plot DIR [DIR…] [flags]
Draws the learning curves of folders that compare or train wrote, side by side.""",
}


def parse(command, arguments):
    """The flags' values by name, and what else stands on the command line.

    Raises:
        ExperimentError: An unknown flag or a value that cannot be one.
    """
    values = flags.FlagValues()
    values.set_gnu_getopt(True)
    for group in GROUPS[command].values():
        for name, (kind, default, text) in group.items():
            _define(kind)(name, default, help=text, flag_values=values)
    names = [name for group in GROUPS[command].values() for name in group]
    _check_names(names, arguments)
    try:
        others = values([command, *arguments])[1:]
    except (flags.Error, ValueError) as error:
        raise ExperimentError(error) from error
    chosen = {name: values[name].value for name in names}
    for name, value in chosen.items():
        constraint = "given a value, or left out"
        require(value not in ("", []), name, "", constraint, ExperimentError, str)
    if chosen.get("recipe"):
        given = [name for name in names if values[name].present]
        chosen |= _frozen(chosen["recipe"], given)
    return chosen, others


def _check_names(names, arguments):
    """Raise at a flag that there is none of.

    absl would take for flags of this command its own two, which read any file and
    silence any mistake; and to a long name it seeks the nearest by recursion.
    """
    longest = max(map(len, names)) + len("no")
    for word in itertools.takewhile("--".__ne__, arguments):
        name = word.lstrip("-").partition("=")[0]
        if word.startswith("-") and (
            name in ("flagfile", "undefok") or len(name) > longest
        ):
            raise ExperimentError(f"Unknown command line flag '{shortened(name)}'")


def _frozen(recipe, given):
    """A recipe's flags, beside which only some of the others may be given."""
    for name in given:
        if name not in recipes.FREE:
            raise ExperimentError(
                f"`recipe` fixes all but {', '.join(recipes.FREE[1:])}: "
                f"leave out --{name}. Received: recipe={recipe}"
            )
    chosen = recipes.RECIPES[recipe]
    others = {n: v for n, v in chosen.unless_given.items() if n not in given}
    return chosen.flags | others


def help_text(command):
    """One subcommand's usage and flags, by group."""
    lines = [_ABOUT[command]]
    for group, rows in GROUPS[command].items():
        lines += ["", group]
        for name, (kind, default, text) in rows.items():
            flag = f"--{name}" + (f"={default}" if default is not None else "")
            choices = f" ({'|'.join(kind)})" if isinstance(kind, tuple) else ""
            lines += _Wrapper(width=96, subsequent_indent=" " * 36).wrap(
                f"  {flag:<33} {text}{choices}"
            )
    return "\n".join(lines)


class _Wrapper(textwrap.TextWrapper):
    """Breaks lines at spaces and between choices, never within a name."""

    wordsep_re = re.compile(r"(\s+|(?<=\|))")


class _Integer(flags.IntegerParser):
    def convert(self, argument):
        try:
            return super().convert(argument)
        except ValueError:
            raise ValueError("must be an integer") from None


class _Float(flags.FloatParser):
    def convert(self, argument):
        try:
            return super().convert(argument)
        except ValueError:
            raise ValueError("must be a number") from None


class _Boolean(flags.BooleanParser):
    def parse(self, argument):
        try:
            return super().parse(argument)
        except ValueError:
            raise ValueError("must be true or false, or left out") from None


def _define(kind):
    if isinstance(kind, tuple):
        return functools.partial(_define_choice, kind)
    return {
        str: flags.DEFINE_string,
        int: functools.partial(flags.DEFINE, _Integer()),
        bool: _define_boolean,
        float: functools.partial(flags.DEFINE, _Float()),
        list: flags.DEFINE_list,
    }[kind]


def _define_boolean(name, default, help, flag_values):
    flag = flags.BooleanFlag(name, default, help)
    flag.parser = _Boolean()
    flags.DEFINE_flag(flag, flag_values)


def _define_choice(choices, name, default, **others):
    flags.DEFINE_enum(name, default, choices, **others)


def seeds(text):
    """`"3"` means 0, 1, 2; `"0,7"` means just those."""
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if numbers and "," not in text:
        good = 1 <= numbers[0] <= MOST_SEEDS
        numbers = range(numbers[0]) if good else []
    good = 1 <= len(numbers) <= MOST_SEEDS and len(set(numbers)) == len(numbers)
    constraint = f"a count, or a list of different integers, of 1 to {MOST_SEEDS} seeds"
    require(good, "seeds", text, constraint, ExperimentError, str)
    good = all(0 <= seed < 2**32 for seed in numbers)
    constraint = "integers in [0, 2**32)"
    require(good, "seeds", text, constraint, ExperimentError, str)
    return list(numbers)


def drop_epochs(parts):
    """The list as integers; `none` for no drops; None stays None."""
    if parts is None or parts in (["none"], []):
        return parts and []
    try:
        return [int(part) for part in parts]
    except ValueError:
        require(
            False,
            "drop_epochs",
            ",".join(parts),
            "integers or none",
            ExperimentError,
            str,
        )


def overrides(name, text, optimizers):
    """A hyperparameter's values by optimizer, from `VALUE` or `NAME=VALUE,…`."""
    if text is None:
        return {}
    takers = [o for o in optimizers if name in named.ALL[o].hyperparameters]
    values = {}
    check = functools.partial(
        require, name=name, value=text, error=ExperimentError, show=str
    )
    for part in text.split(","):
        optimizer, equals, number = part.strip().rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        # A name is needed where a sign of equality or a comma says that one comes.
        good = math.isfinite(value) and (optimizer or not (equals or "," in text))
        check(good, constraint="a number, or NAME=NUMBER,NAME=NUMBER")
        some = ", ".join(takers) or "none of the optimizers"
        check(not optimizer or optimizer in takers, constraint=f"for {some} here")
        check(optimizer not in values, constraint="given once for each optimizer")
        values |= dict.fromkeys([optimizer] if optimizer else takers, value)
    if not values:
        raise ExperimentError(
            f"`{name}` is taken by none of {', '.join(optimizers)}. "
            f"Received: {name}={text}"
        )
    return values
