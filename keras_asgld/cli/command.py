"""The command `keras-asgld`: compare, tune, train and plot.

What is heavy to import is imported where it is needed, so that help and errors in
the flags come at once.
"""

import contextlib
import functools
import os
import re
import sys
from pathlib import Path

from keras_asgld.checks import LONGEST, require, shortened
from keras_asgld.cli import options
from keras_asgld.runs import environment, records, settings, strategies, tasks
from keras_asgld.runs import optimizers as named
from keras_asgld.runs.files import ExperimentError, new_folder, reason
from keras_asgld.version import __version__

HELP = """keras-asgld: Langevin optimizers, compared with others on real tasks

  keras-asgld compare   several optimizers and seeds on one task: table and figure
  keras-asgld tune      each optimizer's learning rate, found on validation data
  keras-asgld train     one run, which goes on where it was interrupted
  keras-asgld plot      figures from the records of earlier runs

keras-asgld COMMAND --help lists a command's flags; keras-asgld --version."""


_CLOSED_PIPE = 141  # what shells say of a program whose reader has gone: 128 + SIGPIPE


def run():
    """The console script: runs the command line and exits with its status."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is where a shell has closed it
            stream.reconfigure(errors="replace")
    sys.exit(main(sys.argv[1:]))


def main(arguments):
    """Run one command line; a fault the user can mend is one line and status 2.

    Args:
        arguments: The words after the command's name.

    Returns:
        0; 1 where a run of `train` failed; 2 for wrong usage or missing, corrupt
        or unwritable files; 130 after Ctrl-C; 141 where what it prints is read no
        longer.
    """
    try:
        status = _dispatch(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a fault can still be told
        return status
    except ExperimentError as error:
        return _complain(error, 2)
    except MemoryError:
        return _complain("out of memory: choose something smaller", 2)
    except BrokenPipeError:
        _drop_output()
        return _CLOSED_PIPE
    except OSError as error:
        _drop_output()
        place = error.filename or "standard output"
        return _complain(f"{place}: {reason(error)}", 2)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on from here", 130)


def _dispatch(arguments):
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(HELP)
        return 0
    if arguments[0] == "--version":
        print(f"keras-asgld {__version__}")
        return 0
    command, *rest = arguments
    if command not in _COMMANDS:
        raise ExperimentError(
            f"no such command: {command} (there are {', '.join(_COMMANDS)})"
        )
    if "--help" in rest or "-h" in rest:
        print(options.help_text(command))
        return 0
    values, others = options.parse(command, rest)
    if others and command != "plot":
        raise ExperimentError(f"unexpected argument: {others[0]}")
    return _COMMANDS[command](values, others)


def _compare(values, _):
    plan = _plan(values, _names(values), options.seeds(values["seeds"]))
    first = plan[0]
    if values["tensorboard"]:
        environment.require("tensorboard")
        environment.require("tensorflow")  # which writes the files
    default = values["recipe"] and Path("asgld-results", values["recipe"])
    folder = Path(values["out_dir"] or default or _default_folder(first))
    with new_folder(folder):
        for run_settings in plan:
            place = records.run_folder(folder, run_settings)
            records.check_same(place, records.read(place), run_settings)
        title, rows, calibrated, is_drawn = _run_all(values, plan, folder)
    from keras_asgld.reports import tables

    _print_table(*tables.cells(rows, tasks.TASKS[first.dataset].score), title)
    if calibrated:
        _print_table(*calibrated)
    _print_place(folder, is_drawn)
    return 0


def _run_all(values, plan, folder):
    """What `compare.compare` returns of the plan."""
    data = _load_data(values, plan[0])
    from keras_asgld.cli.progress import Progress
    from keras_asgld.studies import compare, recipes

    size = (len(plan), plan[0].epochs, data.steps_per_epoch)
    with Progress(*size, interval=10.0) as progress:
        return compare.compare(
            plan,
            folder,
            data,
            progress,
            recipe=recipes.RECIPES.get(values["recipe"]),
            tensorboard=bool(values["tensorboard"]),
        )


def _tune(values, _):
    optimizers = _names(values)
    if values["validation_size"] is None:
        task = tasks.TASKS[values["dataset"]]
        # With a subset, what is held out is taken from the rest, where there is any.
        train_size = values["train_size"]
        values["validation_size"] = (train_size or task.examples) // 5
        if train_size and not values["validation_size"]:
            raise ExperimentError(
                "`train_size` must be at least 5 without --validation_size, whose "
                f"default is a fifth of it. Received: train_size={train_size}"
            )
    plan = _plan(values, optimizers, options.seeds(values["seeds"]))
    if not plan[0].validation_size:
        raise ExperimentError(
            "`validation_size` must be at least 1. "
            f"Received: validation_size={values['validation_size']}"
        )
    bases = {name: [s for s in plan if s.optimizer == name] for name in optimizers}
    default = _default_folder(plan[0], "-tuning")
    with new_folder(values["out_dir"] or default) as folder:
        data = _load_data(values, plan[0])
        from keras_asgld.cli.progress import Progress
        from keras_asgld.studies import tune

        size = (len(plan) * tune.RATES, plan[0].epochs, data.steps_per_epoch)
        with Progress(*size, interval=10.0, at_least=True) as progress:
            title, rows, is_drawn = tune.tune(bases, folder, data, progress)
    _print_table(*tune.table(rows, between="\n"), title)
    _print_place(folder, is_drawn)
    return 0


def _train(values, _):
    (chosen,) = _plan(values, [values["optimizer"]], [values["seed"]])
    seconds = values["worker_timeout"]
    check = functools.partial(
        require, name="worker_timeout", value=seconds, error=ExperimentError
    )
    check(seconds is None or seconds >= 1, constraint="at least 1")
    if chosen.strategy == "multiworker":
        tell = functools.partial(print, file=sys.stderr)
        strategies.meet(seconds or strategies.TIMEOUT, tell)
    else:
        constraint = "left out without --strategy=multiworker"
        check(seconds is None, constraint=constraint)
    default = _default_folder(chosen, f"-{chosen.optimizer}-seed{chosen.seed}")
    with new_folder(values["out_dir"] or default) as folder:
        records.check_same(folder, records.read(folder), chosen)
        data = _load_data(values, chosen)
        from keras_asgld.cli.progress import Progress
        from keras_asgld.runs import training

        with Progress(1, chosen.epochs, data.steps_per_epoch) as progress:
            record = training.run(chosen, folder, data, progress, keep_weights=True)
    print(f"record and weights: {folder}")
    return 1 if record["status"] == "failed" else 0


def _plot(values, folders):
    if not folders:
        raise ExperimentError("plot needs at least one folder")
    from keras_asgld.reports import plot

    plot.plot(folders, values["out"], values["reference"])
    print(values["out"])
    return 0


_COMMANDS = {"compare": _compare, "tune": _tune, "train": _train, "plot": _plot}


def _names(values):
    optimizers = values["optimizers"]
    if not optimizers or len(set(optimizers)) < len(optimizers):
        raise ExperimentError(
            "`optimizers` must be a list of different names. "
            f"Received: optimizers={','.join(optimizers)}"
        )
    return optimizers


def _plan(values, optimizers, seeds):
    """The settings of every run, seed by seed."""
    if values["data_dir"] and values["dataset"] not in tasks.PREPARED:
        raise ExperimentError(
            f"`data_dir` must come with --dataset={'|'.join(tasks.PREPARED)}, for "
            f"{values['dataset']} is no data set of TFDS. "
            f"Received: data_dir={values['data_dir']}"
        )
    for optimizer in optimizers:
        if not values.get("recipe"):  # a recipe may hold the study's controls
            settings.known_optimizer(optimizer)
    overrides = {
        name: options.overrides(name, values[name], optimizers)
        for name in named.HYPERPARAMETERS
    }
    tuned = {}
    if values.get("tuned"):
        from keras_asgld.studies import found_rates as tunings

        model = values["model"] or tasks.TASKS[values["dataset"]].model
        tuned = tunings.read(values["tuned"], values["dataset"], model)
    shared = (
        "dataset",
        "model",
        "epochs",
        "batch_size",
        "image_size",
        "train_size",
        "weight_decay",
        "weight_decay_mode",
        "drop_factor",
        "jit_compile",
        "schedule",
        "label_smoothing",
        "augment",
    )
    return [
        settings.make(
            **{name: values[name] for name in shared},
            optimizer=optimizer,
            overrides=tuned.get(optimizer, {})
            | {n: v[optimizer] for n, v in overrides.items() if optimizer in v},
            seed=seed,
            drop_epochs=options.drop_epochs(values["drop_epochs"]),
            strategy=values.get("strategy", "one"),
            flags=values,
            ensemble=values.get("ensemble"),
            monitor=values.get("monitor") or None,
            validation_size=values.get("validation_size") or 0,
        )
        for seed in seeds
        for optimizer in optimizers
    ]


def _load_data(values, chosen):
    """Start the backend, quietly, and read the data set."""
    environment.ask_for_determinism()
    if chosen.jit_compile == "elementwise":
        environment.allow_fusion()
    with environment.quiet_tensorflow():
        from keras_asgld import data

        strategies.make(chosen.strategy)
        environment.devices()  # a backend's start-up messages are kept off too
        # On PyTorch Keras imports TensorFlow for this, where it is installed.
        environment.set_seed(chosen.seed)

    try:
        return data.load(
            chosen.dataset,
            batch_size=chosen.batch_size,
            data_dir=values["data_dir"],
            image_size=chosen.image_size,
            train_size=chosen.train_size,
            validation_size=chosen.validation_size,
            augment=True if chosen.augment == "random" else chosen.augment,
        )
    except (data.DataError, ValueError) as error:
        raise ExperimentError(" ".join(str(error).split())) from error


def _default_folder(chosen, ending=""):
    """Where the results of a task go, if the user does not say where."""
    names = chosen.dataset, chosen.model
    old, new = (
        re.sub(r"[^A-Za-z0-9._=-]+", "-", "-".join(each)) + ending
        for each in (names, dict.fromkeys(names))
    )
    old, new = Path("asgld-results", old), Path("asgld-results", new)
    # Version 0.1 said twice what has one name; what was begun there goes on there.
    return old if old.is_dir() and not new.exists() else new


def _print_place(folder, is_drawn):
    print(f"records, table{' and figure' if is_drawn else ''}: {folder}")


def _print_table(header, lines, title):
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    from keras_asgld.reports import tables

    wide = console.options.update(max_width=1000)
    for folds in range(3):
        table = tables.rich_cells(header, lines, title, folds)
        width = Measurement.get(console, wide, table).maximum
        if width <= console.width:
            break
    # A line that wraps is better than a number that is cut off.
    console.width = max(console.width, width)
    console.print(table)


def _complain(error, status):
    # A word that fills a screen would hide what is wrong with it.
    longest = 2 * LONGEST
    line = " ".join(shortened(word, longest) for word in str(error).split())
    with contextlib.suppress(OSError):
        print(f"keras-asgld: {line}", file=sys.stderr)
    return status


def _drop_output():
    """Give up what standard output still holds: Python would fail with it at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
