"""Every notebook runs from the first cell to the last, in a fresh kernel."""

import os
import pathlib

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the test extra")
nbclient = pytest.importorskip("nbclient", reason="needs the test extra")

FOLDER = pathlib.Path(__file__).parent.parent / "colab"
NOTEBOOKS = ("quickstart", "cifar10", "fine_tuning", "uncertainty")


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_every_notebook_is_tested():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize(
    "name",
    [
        name if name == "quickstart" else pytest.param(name, marks=pytest.mark.slow)
        for name in NOTEBOOKS
    ],
)
def test_notebook_runs_and_shows_what_it_says(name, tmp_path, monkeypatch):
    root = str(FOLDER.parent)
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    notebook = read(name)
    nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    outputs = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(outputs) >= 2


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_stores_no_outputs_and_explains_every_cell(name):
    cells = read(name).cells
    first = next(cell for cell in cells if cell.cell_type == "code")
    assert "google.colab" in first.source and "%pip install" in first.source
    assert "What to try" in cells[-1].source
    assert any("for the real thing" in cell.source.lower() for cell in cells)
    for before, cell in zip(cells, cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown" and before.source.strip()
            assert cell.outputs == [] and cell.execution_count is None
    assert any("assert " in cell.source for cell in cells)
