"""Rooms import only from the rooms below them; importing stays light."""

import ast
import os
import pathlib
import subprocess
import sys

import keras_asgld

PACKAGE = pathlib.Path(keras_asgld.__file__).parent

# Lowest first: a room imports only from itself and from rooms before it. Rooms that
# share a line do not import each other.
ROOMS = [
    ["noise", "rules", "checks", "atomic", "npz"],
    ["calibration"],
    ["optimizers"],
    ["callbacks"],
    ["models", "data"],
    ["experiments"],
    ["__main__"],
]
FIELD = {
    "noise": {"keras", "numpy", "tensorflow"},
    "rules": {"keras"},
    "checks": set(),
    "atomic": set(),
    "npz": {"numpy"},
    "calibration": {"numpy", "sklearn"},
    "callbacks": {"keras", "numpy"},
    "optimizers": {"keras", "tensorflow", "jax", "torch", "numpy"},
    "data": {
        "keras",
        "numpy",
        "absl",
        "sklearn",
        "jax",
        "tensorflow",
        "tensorflow_datasets",
        "requests",
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
            if parts[1] not in level:  # a public name of the package's front door
                assert room in ("experiments", "__main__"), f"{path} imports {name}"
                continue
            assert level[parts[1]] < level[room], f"{path} imports {name}"


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
        "'sklearn', 'tensorflow', 'jax', 'torch', 'absl'}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert result.stdout.strip() == "[]"
