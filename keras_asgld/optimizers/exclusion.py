"""Variables that are kept free of noise, chosen by themselves or by their paths."""

import re
import warnings
from typing import NamedTuple


def path(variable):
    """A variable's path; a raw `tf.Variable` has none, and its name takes the place."""
    return getattr(variable, "path", variable.name)


class Exclusion(NamedTuple):
    """What `exclude_from_noise` was told.

    Attributes:
        keys: What the optimizer knows the chosen variables by, while they exist.
        paths: Their paths, which a configuration can hold.
        patterns: Regular expressions that occur in the paths of others.
    """

    keys: tuple = ()
    paths: tuple = ()
    patterns: tuple = ()

    def among(self, variables, keys):
        """For each of the variables that are trained, whether it is excluded.

        Warns of a path or pattern that excludes none of them. It may be misspelt, or
        come from a model whose layers have other names, and so leave noise where none
        is wanted. It is no error, since the variables of a frozen layer are not among
        these.

        Args:
            variables: A list of variables.
            keys: What the optimizer knows them by.
        """
        found = {pattern: _containing(pattern, variables) for pattern in self.patterns}
        if not self.keys:  # with keys, another variable of the same path is not meant
            found |= {path: _at(path, variables) for path in self.paths}
        for each, positions in found.items():
            if not positions:
                _warn(each, variables)
        chosen = {position for positions in found.values() for position in positions}
        return [
            position in chosen or key in self.keys for position, key in enumerate(keys)
        ]

    def to_config(self):
        return {"paths": list(self.paths), "var_names": list(self.patterns)}

    @classmethod
    def from_config(cls, config):
        return cls(paths=tuple(config["paths"]), patterns=tuple(config["var_names"]))


def _containing(pattern, variables):
    return [i for i, v in enumerate(variables) if re.search(pattern, path(v))]


def _at(wanted, variables):
    paths = [path(variable) for variable in variables]
    exact = [i for i, each in enumerate(paths) if each == wanted]
    return exact or [i for i, each in enumerate(paths) if _same_in_copy(each, wanted)]


def _same_in_copy(path, other):
    """Whether paths differ only in the name of the model that they begin with.

    In a copy of a `Sequential` model that name has another number, or the paths do not
    begin with it.
    """
    if path.endswith(f"/{other}") or other.endswith(f"/{path}"):
        return True
    (own, *parts), (others, *other_parts) = path.split("/"), other.split("/")
    numberless = [re.sub(r"_\d+$", "", name) for name in (own, others)]
    return len(parts) > 1 and parts == other_parts and len(set(numberless)) == 1


def _warn(idle, variables):
    first = ", ".join(path(variable) for variable in variables[:3])
    warnings.warn(
        f"`exclude_from_noise`: {idle!r} matches none of the {len(variables)} "
        f"variables that are trained ({first}, …), so it keeps no noise off.",
        stacklevel=5,
    )


def check_variables(var_list):
    """Raises `ValueError` unless `var_list` is None or variables."""
    # A variable's name is no variable; a tensor is a sequence of its rows.
    good = var_list is None or (
        isinstance(var_list, (list, tuple))
        and all(hasattr(variable, "shape") for variable in var_list)
    )
    if not good:
        raise ValueError(
            "`var_list` must be a list of variables; names go into `var_names`. "
            f"Received: var_list={var_list!r}"
        )


def check_patterns(var_names):
    """Raises `ValueError` unless `var_names` is None or regular expressions."""
    # A string is a sequence of strings too, whose letters would match nearly all.
    good = var_names is None or isinstance(var_names, (list, tuple, set))
    try:
        for name in var_names or ():
            re.compile(name)
    except (re.error, TypeError):
        good = False
    if not good:
        raise ValueError(
            "`var_names` must be a list of strings that are regular expressions. "
            f"Received: var_names={var_names!r}"
        )
