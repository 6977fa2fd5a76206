"""Variables that are kept free of noise, chosen by patterns of their paths."""

import re
import warnings


def path(variable):
    """A variable's path; a raw `tf.Variable` has none, its name is one."""
    return getattr(variable, "path", variable.name)


def matches(pattern, variable):
    return re.search(pattern, path(variable)) is not None


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


def warn_of_idle(patterns, variables):
    """Warns of each pattern that matches none of the variables to be trained.

    It may be misspelt, which leaves noise where none is wanted. It is no error, for the
    variables of a layer that is frozen are not among these.
    """
    for pattern in patterns:
        if not any(matches(pattern, variable) for variable in variables):
            first = ", ".join(path(variable) for variable in variables[:3])
            warnings.warn(
                f"`exclude_from_noise`: {pattern!r} matches none of the "
                f"{len(variables)} variables that are trained ({first}, …), so it "
                "keeps no noise off.",
                stacklevel=4,
            )
