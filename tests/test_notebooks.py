"""Every notebook runs from the first cell to the last, and shows what it stores."""

import importlib.util
import pathlib

import pytest

from keras_asgld.runs.optimizers import OPTIMIZERS
from keras_asgld.studies.recipes import RECIPES

nbformat = pytest.importorskip("nbformat", reason="needs the test extra")
pytest.importorskip("nbclient", reason="needs the test extra")

FOLDER = pathlib.Path(__file__).parent.parent / "colab"
_spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
execute = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(execute)
LARGEST = 2**20


def pictures(notebook):
    return [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if {"image/png", "image/gif"} & set(output.get("data", {}))
    ]


def test_every_notebook_is_tested():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(execute.NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", execute.NAMES)
def test_notebook_runs_and_shows_what_it_says(name, tmp_path):
    notebook = execute.read(name)
    execute.run(notebook, tmp_path)
    assert len(pictures(notebook)) >= 2


@pytest.mark.parametrize("name", execute.NAMES)
def test_stored_outputs_are_of_the_present_cells(name):
    notebook = execute.read(name)
    assert notebook.metadata["keras_asgld"] == execute.origin(notebook), (
        f"run `python colab/execute.py {name}`"
    )
    assert len(pictures(notebook)) >= 2
    assert (FOLDER / f"{name}.ipynb").stat().st_size < LARGEST
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error" and output.get("name") != "stderr"


@pytest.mark.parametrize("name", execute.NAMES)
def test_notebook_says_first_what_one_will_see_and_explains_every_cell(name):
    cells = execute.read(name).cells
    assert "What you will see" in cells[0].source
    first = next(cell for cell in cells if cell.cell_type == "code")
    assert "google.colab" in first.source and "%pip install" in first.source
    assert "What to try" in cells[-1].source
    assert any("for the real thing" in cell.source.lower() for cell in cells)
    for before, cell in zip(cells, cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown" and before.source.strip()
    assert any("assert " in cell.source for cell in cells)


def test_the_cifar10_notebook_has_the_flags_of_the_recipe():
    cells = execute.read("cifar10").cells
    (settings,) = (cell.source for cell in cells if cell.source.startswith("RECIPE ="))
    names = {}
    exec(settings, names)
    flags = names["RECIPE"] + names["FULL"]
    given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    nesterov = OPTIMIZERS["nesterov"].hyperparameters
    for name in ("learning_rate", "momentum"):
        number = nesterov[name]["airbench"]
        assert given.pop(name) == f"asgld={number},momentum={number}"
    frozen = RECIPES["cifar10-fast"].flags.items()
    task = ("dataset", "optimizers")
    assert given == {name: str(value) for name, value in frozen if name not in task}
