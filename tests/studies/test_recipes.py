"""The frozen recipes: what they hold, that they are frozen, what they draw."""

import dataclasses
import pathlib

import matplotlib.image
import pytest

from keras_asgld.cli import options
from keras_asgld.cli.command import main
from keras_asgld.runs import optimizers as named
from keras_asgld.runs import records
from keras_asgld.runs.settings import make
from keras_asgld.studies import recipes


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["paper-resnet34", "paper-densenet121"])
def test_the_papers_protocol(name):
    values, _ = options.parse("compare", [f"--recipe={name}", "--seeds=2"])
    assert values["model"] == name.removeprefix("paper-")
    assert (values["epochs"], values["batch_size"]) == (200, 128)
    assert (values["drop_epochs"], values["drop_factor"]) == (["150"], 0.1)
    assert values["weight_decay"] == 5e-4 and values["seeds"] == "2"
    assert {"asgld", "momentum", "adam", "adagrad", "amsgrad"} < set(
        values["optimizers"]
    )
    assert {"asgld-paper", "sgld", "psgld", "sghmc"} < set(values["optimizers"])


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipes_give_flags_that_exist_and_settings_that_are_sound(name):
    study = recipes.RECIPES[name]
    flags = {flag for group in options.GROUPS["compare"].values() for flag in group}
    assert set(study.flags) <= flags - set(recipes.FREE)
    assert set(study.unless_given) <= set(recipes.FREE)
    for optimizer in study.flags["optimizers"]:
        assert make("cifar10", optimizer, **_fields(study.flags)).epochs
    for shown in (study.curves or {}).values():
        assert set(shown) <= set(study.flags["optimizers"])


def _fields(flags):
    names = {"model", "epochs", "batch_size", "weight_decay", "drop_factor"}
    names |= {"schedule", "label_smoothing", "augment"}
    fields = {"drop_factor": 0.1} | {n: flags[n] for n in names & flags.keys()}
    return fields | {"seed": 0, "image_size": 16, "train_size": 9, "jit_compile": "on"}


@pytest.mark.parametrize(
    "name, model, precision",
    [
        ("cifar10-fast", "airbench-narrow", "auto"),
        ("cifar10-fast-large", "airbench", "auto"),
        # In the same numbers on any processor.
        ("cifar10-fast-tiny", "airbench-tiny", "off"),
    ],
)
def test_cifar10_in_minutes_is_trained_as_published(name, model, precision):
    values, _ = options.parse("compare", [f"--recipe={name}"])
    assert values["model"] == model and values["dataset"] == "cifar10"
    assert (values["schedule"], values["augment"]) == ("triangle", "alternating")
    assert (values["label_smoothing"], values["batch_size"]) == (0.2, 1024)
    assert values["mixed_precision"] == precision
    assert values["jit_compile"] == ("elementwise" if precision == "auto" else "auto")
    given = options.parse("compare", [f"--recipe={name}", "--mixed_precision=off"])
    assert given[0] == values | {"mixed_precision": "off"}
    # The published rate of 11.5 and decay of .0153 are of a loss that is a sum over
    # 1024 pictures, and of steps measured without momentum.
    scale = 1 + 1 / (1 - 0.85)
    nesterov = make("cifar10", "nesterov", **_fields(values)).hyperparameters
    assert nesterov == {"learning_rate": 1.5, "momentum": 0.85}
    assert 11.5 / scale == pytest.approx(1.5, rel=1e-3)
    assert values["weight_decay"] == pytest.approx(0.0153 / 11.5, rel=1e-3)
    # With the noise that would make its mean Nesterov's, ASGLD does not stand the rate.
    asgld = make("cifar10", "asgld", **_fields(values)).hyperparameters
    assert asgld == nesterov | {"noise": 1.0}
    assert set(values["optimizers"]) == {
        "asgld",
        "scale-free-asgld",
        "sgd",
        "nesterov",
        "adam",
        "adamw",
        "adagrad",
        "amsgrad",
        "lion",
    }


@pytest.mark.parametrize(
    "controls, expected",
    [
        (named.CONTROLS, named.EFFECTIVE_STEP),
        (named.FAST_CONTROLS, named.FAST_EFFECTIVE_STEP),
    ],
)
def test_controls_share_one_effective_step(controls, expected):
    for name, recipe in controls.items():
        values = recipe.hyperparameters
        if name == "momentum SGD":
            step = values["learning_rate"] / (1 - values["momentum"])
        else:
            step = values["learning_rate"] * (1 + values["noise"])
        assert step == pytest.approx(expected), name


@pytest.mark.parametrize(
    "name, runs",
    [("cifar10-fast-tiny", 12), ("cifar10-fast", 4), ("cifar10-fast-large", 1)],
)
def test_the_runs_of_the_study_have_the_numbers_of_their_recipe(name, runs):
    folder = pathlib.Path(__file__).parents[2] / "docs/results" / name
    recipe = recipes.RECIPES[name]
    flags = recipe.flags
    found = records.find(folder)
    assert len(found) >= runs
    for record in found:
        ran = record["settings"]
        now = make("cifar10", ran["optimizer"], **_fields(flags))
        assert ran["hyperparameters"] == pytest.approx(now.hyperparameters)
        fixed = flags.keys() & ran.keys()
        assert {n: ran[n] for n in fixed} == {n: flags[n] for n in fixed}
        if recipe.unless_given:  # on a processor that has it
            assert ran["mixed_precision"] == "bfloat16"
            assert ran["jit_compile"] == recipe.unless_given["jit_compile"]


def test_without_noise_the_fast_controls_are_nesterovs():
    values = named.FAST_CONTROLS["psi=5.67, mean alone"].hyperparameters
    rho = named.OPTIMIZERS["nesterov"].hyperparameters["momentum"]["airbench"]
    # The longest step of the grid at which ASGLD with this noise learnt.
    assert values == pytest.approx(
        {"learning_rate": 0.4743, "momentum": rho, "noise": rho / (1 - rho)}
    )


@pytest.mark.parametrize(
    "flag",
    [
        "--epochs=3",
        "--optimizers=sgd",
        "--noise=1",
        "--schedule=steps",
        "--augment=random",
        "--label_smoothing=0",
    ],
)
def test_a_recipe_is_frozen(capsys, flag):
    assert main(["compare", "--recipe=paper-small", flag]) == 2
    errors = capsys.readouterr().err
    assert f"leave out {flag.partition('=')[0]}." in errors and errors.count("\n") == 1


def test_a_recipe_draws_its_figures(tmp_path, monkeypatch, capsys):
    flags = {
        "dataset": "digits",
        "epochs": 1,
        "train_size": 64,
        "optimizers": ["asgld", "sgd", "psi=3, isotropic"],
    }
    study = recipes.Recipe("", flags, {"a.png": ("asgld", "sgd"), "b.png": ("asgld",)})
    pointed = dataclasses.replace(study, curves=None, points=True)
    recipe = next(iter(recipes.RECIPES))
    line = ["compare", f"--recipe={recipe}", "--seeds=1"]
    monkeypatch.setitem(recipes.RECIPES, recipe, study)
    assert main(line) == 0
    out = tmp_path / "asgld-results" / recipe
    assert {path.name for path in out.glob("*.png")} == {"a.png", "b.png"}
    assert (out / "runs" / "psi=3-isotropic-seed0").is_dir()
    height = len(matplotlib.image.imread(out / "a.png"))
    monkeypatch.setitem(recipes.RECIPES, recipe, dataclasses.replace(study, clock=True))
    assert main(line) == 0
    assert len(matplotlib.image.imread(out / "a.png")) == 2 * height
    monkeypatch.setitem(recipes.RECIPES, recipe, pointed)
    assert main(line) == 0
    assert "psi=3, isotropic" in capsys.readouterr().out
    assert matplotlib.image.imread(out / "points.png")[..., :3].std() > 0.05
