"""Everything public is annotated, and what is not public is not offered."""

import inspect
import pathlib
import typing

import keras
import pytest

import keras_asgld

PACKAGE = pathlib.Path(keras_asgld.__file__).parent
# Whose methods call back: Keras's own have no types.
KERAS = (keras.optimizers.Optimizer, keras.callbacks.Callback)


def public():
    """(name, function) of every function, constructor and method for users."""
    for name in keras_asgld.__all__:
        member = getattr(keras_asgld, name)
        if not inspect.ismodule(member):
            yield from of_class(name, member)
            continue
        names = getattr(member, "__all__", None) or [
            each
            for each, value in vars(member).items()
            if getattr(value, "__module__", None) == member.__name__
            and not each.startswith("_")
        ]
        for each in names:
            value = getattr(member, each)
            if inspect.isclass(value):
                yield from of_class(f"{name}.{each}", value)
            else:
                yield f"{name}.{each}", value


def of_class(name, cls):
    for each, value in vars(cls).items():
        value = value.fget if isinstance(value, property) else value
        value = getattr(value, "__func__", value)
        if each == "__init__":
            yield name, value
        elif inspect.isfunction(value) and not each.startswith("_"):
            of_keras = any(hasattr(base, each) for base in KERAS)
            of_ours = issubclass(cls, keras_asgld.ASGLD.__mro__[1]) or any(
                hasattr(base, each) for base in cls.__mro__[1:]
            )
            if not (of_keras or of_ours):
                yield f"{name}.{each}", value


@pytest.mark.parametrize(
    "function", [pytest.param(value, id=name) for name, value in public()]
)
def test_arguments_and_result_are_annotated(function):
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    assert not [p.name for p in own if p.annotation is p.empty]
    assert signature.return_annotation is not signature.empty


def test_annotations_say_what_defaults_are():
    for name, function in public():
        if getattr(keras_asgld, name, None) in (None, keras_asgld.Prior):
            continue
        hints = typing.get_type_hints(function)
        for parameter in inspect.signature(function).parameters.values():
            if parameter.default is None:
                assert type(None) in typing.get_args(hints[parameter.name]), name


def test_type_checkers_are_told():
    assert (PACKAGE / "py.typed").exists()


def test_completion_offers_what_is_public():
    assert dir(keras_asgld) == sorted([*keras_asgld.__all__, "__version__"])
    assert dir(keras_asgld.diagnostics) == sorted(keras_asgld.diagnostics.__all__)
