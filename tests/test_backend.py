"""One room asks for the backend, and what is used of Keras is as it was."""

import ast
import inspect
import pathlib
import re

import keras
import pytest

import keras_asgld
from keras_asgld import backend

PACKAGE = pathlib.Path(keras_asgld.__file__).parent
# Rooms that may ask: `backend` for all others, and those that read data and models of
# one backend or record which it was.
MAY_ASK = ("backend", "data", "models", "runs")

# What the package overrides or calls of Keras's optimizers, with the signatures that
# it relies on. A release of Keras that changes one fails here, by its name.
HOOKS = {
    "_apply_weight_decay": "(self, variables)",
    "_backend_update_step": "(self, grads, trainable_variables, learning_rate)",
    "_get_current_learning_rate": "(self)",
    "_get_variable_index": "(self, variable)",
    "_overwrite_variable_with_gradient": "(self, variable)",
    "_untrack_variable": "(self, variable)",
    "_use_weight_decay": "(self, variable)",
    "_var_key": "(self, variable)",
    "add_variable": "(self, shape, initializer='zeros', dtype=None, "
    "aggregation='none', layout=None, name=None)",
    "apply": "(self, grads, trainable_variables=None)",
    "build": "(self, variables)",
    "from_config": "(config, custom_objects=None)",
    "get_config": "(self)",
    "update_step": "(self, gradient, variable, learning_rate)",
}
ATTRIBUTES = ["_iterations", "_trainable_variables"]
if backend.NAME == "tensorflow":
    ATTRIBUTES.append("_distribution_strategy")


def sources(*but):
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in but:
            yield path, path.read_text()


@pytest.mark.parametrize("name", HOOKS)
def test_keras_has_this_hook_with_this_signature(name):
    hook = getattr(keras.optimizers.Optimizer, name)
    assert str(inspect.signature(hook)) == HOOKS[name]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_built_optimizer_of_keras_has_this_attribute(name):
    optimizer = keras.optimizers.SGD()
    optimizer.build([keras.Variable([1.0])])
    assert hasattr(optimizer, name)


def test_no_other_private_name_of_keras_optimizers_is_used():
    optimizer = keras.optimizers.SGD()
    optimizer.build([keras.Variable([1.0])])
    theirs = {name for name in dir(optimizer) if re.match(r"_[a-z]", name)}
    used = {
        node.attr
        for path, text in sources()
        if path.parent.name in ("optimizers", "callbacks", "backend")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
    }
    known = {*HOOKS, *ATTRIBUTES, "_distribution_strategy"}
    assert used & theirs <= known
    # And the list names nothing that is no longer used.
    overridden = {"apply", "build", "from_config", "get_config", "update_step"}
    assert known - overridden <= used | {"_backend_update_step"}


def test_no_other_room_asks_which_backend_runs():
    for path, text in sources(*MAY_ASK):
        assert not re.search(r"backend\.backend\(\)|config\.backend\(\)", text), path
        imported = re.findall(r"^\s*(?:import|from) (tensorflow|jax|torch)", text, re.M)
        assert not imported, path


def public_functions(name):
    """The functions that a file of the backend room defines or takes from another."""
    tree = ast.parse((PACKAGE / "backend" / f"{name}.py").read_text())
    functions = {
        node.name: [argument.arg for argument in node.args.args]
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith(
            "keras_asgld.backend."
        ):
            theirs = public_functions(node.module.split(".")[-1])
            functions |= {alias.name: theirs[alias.name] for alias in node.names}
    return functions


def test_all_backends_offer_the_same_functions():
    offered = {name: public_functions(name) for name in ("tensorflow", "jax", "torch")}
    assert offered["tensorflow"] == offered["jax"] == offered["torch"]
    described = re.findall(r"^- `(\w+)[(`]", backend.__doc__, re.M)
    assert sorted(described) == sorted(offered["jax"])
