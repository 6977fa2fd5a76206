"""Run the notebooks in fresh kernels and store what they show.

    python colab/execute.py [NAME ...]        # all of them: some eight minutes

Needs the extra `test`. A notebook is replaced once it has run to its end, and with its
outputs is stored what they are of: a digest of the cells and the package's version.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat

import keras_asgld

FOLDER = Path(__file__).parent
NAMES = ("quickstart", "cifar10", "fine_tuning", "uncertainty")


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def run(notebook, folder, timeout=600):
    """Execute all cells in `folder` on TensorFlow, with this checkout's package.

    What libraries write to standard error is left out.
    """
    path = os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")])
    nbclient.NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    ).execute(env=os.environ | {"PYTHONPATH": path, "KERAS_BACKEND": "tensorflow"})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if output.get("name") != "stderr"
            ]


def origin(notebook):
    """What a notebook's outputs are of: all code but the installation in Colab."""
    cells = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code" and "google.colab" not in cell.source:
            cells.update(cell.source.encode() + b"\0")
    return {"cells": cells.hexdigest(), "version": keras_asgld.__version__}


def store(name):
    notebook = read(name)
    with tempfile.TemporaryDirectory() as folder:
        run(notebook, folder)
    notebook.metadata["keras_asgld"] = origin(notebook)
    nbformat.write(notebook, FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        store(name)
        print(f"{name}: stored")
