"""Arguments are checked in one place, with one wording."""

import errno
import fractions
import math
import os

import numpy as np
import pytest

from keras_asgld import checks


def message(check, *arguments, **settings):
    """What the check says, or an empty string where it finds nothing wrong."""
    try:
        check("size", *arguments, **settings)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "settings, good, constraint, wrong",
    [
        ({}, [0, 0.0, 2, 1e300], "finite and not negative", [-1, -1e-9]),
        ({"positive": True}, [5e-324, 1], "finite and positive", [0, -0.0]),
        ({"below": 1}, [0, 0.999], "in the range [0, 1)", [1, 1.5, -1]),
        (
            {"at_most": 1, "positive": True},
            [1, 0.1, np.float32(0.5)],
            "in the range (0, 1]",
            [0, np.float32(1.5)],
        ),
    ],
)
def test_numbers(settings, good, constraint, wrong):
    for value in good:
        assert message(checks.check_number, value, **settings) == ""
    for value in [*wrong, math.nan, math.inf, np.float32("nan")]:
        words = f"`size` must be {constraint}. Received: size={value}"
        assert message(checks.check_number, value, **settings) == words
    for value in [None, "1", 1j, [1.0], True]:
        words = f"Received: size={value!r} (of type {type(value).__name__})"
        found = message(checks.check_number, value, **settings)
        assert found == f"`size` must be a float. {words}"


def test_numbers_that_only_exact_arithmetic_holds_within_the_range():
    largest = fractions.Fraction(10**20 - 1, 10**20)  # one, once it is a float
    assert message(checks.check_number, largest, below=1)
    assert message(checks.check_number, 10**400)
    assert message(checks.check_number, -(10**400))
    huge = message(checks.check_number, 10**5000)
    assert huge.endswith("Received: size=<int too long to be shown>")


def test_schedules_are_taken_where_they_are_allowed():
    assert message(checks.check_number, len, schedules=True) == ""
    assert "must be a float. " in message(checks.check_number, len)
    kinds = "a float, a `LearningRateSchedule` or a callable of no arguments. "
    assert kinds in message(checks.check_number, "1", schedules=True)


@pytest.mark.parametrize(
    "settings, good, constraint, wrong",
    [
        ((), [0, 10**30], "an integer >= 0", [-1]),
        ((2,), [2, np.int64(3)], "an integer >= 2", [1, np.int64(-4)]),
        ((1, 3), [1, 3], "an integer in the range [1, 3]", [0, 4]),
        (
            (1, 3, "cycle"),
            [1, 3],
            "an integer in the range [1, 3], that of `cycle`",
            [0, 4],
        ),
    ],
)
def test_integers(settings, good, constraint, wrong):
    for value in good:
        assert message(checks.check_integer, value, *settings) == ""
    for value in wrong:
        words = f"`size` must be {constraint}. Received: size={value}"
        assert message(checks.check_integer, value, *settings) == words
    for value in [None, "1", 2.0, True]:
        words = f"Received: size={value!r} (of type {type(value).__name__})"
        found = message(checks.check_integer, value, *settings)
        assert found == f"`size` must be {constraint}. {words}"


def test_seeds():
    for value in (None, 0, np.int64(5), 2**70):
        checks.check_seed(value)
    for value in (-1, 1.0, "1", False):
        words = "`seed` must be a non-negative integer or None. Received: seed="
        with pytest.raises(ValueError, match=words):
            checks.check_seed(value)


def test_booleans():
    assert message(checks.check_boolean, True) == ""
    for value in (0, 1, None, "yes"):
        words = f"`size` must be True or False. Received: size={value!r}"
        assert message(checks.check_boolean, value) == words


def test_choices():
    choices = ("small", "large")
    assert message(checks.check_choice, "large", choices) == ""
    for value in ("huge", None, ["small"], "small,"):
        words = f"`size` must be one of small, large. Received: size={value!r}"
        assert message(checks.check_choice, value, choices) == words
    assert message(checks.check_choice, "a", choices, show=str).endswith("size=a")


def test_directories(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "astray").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to(tmp_path)
    for value in (tmp_path, tmp_path / "new" / "newer", tmp_path / "link", "", "new"):
        assert message(checks.check_directory, value) == ""
        assert message(checks.check_directory, os.fspath(value)) == ""
    wrong = ["file", "file/below", "astray", "astray/below", "n" * 300, "null\0byte"]
    for value in [None, 3, *(str(tmp_path / each) for each in wrong)]:
        words = "`size` must be the path of a directory. Received: size="
        assert message(checks.check_directory, value).startswith(words), value


def test_what_was_received_is_shortened_and_the_error_is_the_callers():
    class Refused(Exception):
        pass

    with pytest.raises(Refused) as error:
        checks.check_choice("name", "x" * 20_000, ["a"], error=Refused)
    assert "x" * 100 in str(error.value)
    assert str(error.value).endswith("… (20002 characters)")
    assert len(str(error.value)) < 300
    named = [
        (checks.check_number, -1),
        (checks.check_number, "a"),
        (checks.check_integer, -1),
        (checks.check_integer, "a"),
        (checks.check_seed, -1),
        (checks.check_boolean, 1),
        (checks.check_directory, None),
    ]
    for check, value in named:
        arguments = {"name": "size", "value": value, "error": Refused}
        with pytest.raises(Refused, match="`size` must be"):
            check(**arguments)


def test_folders_that_cannot_be_written(tmp_path):
    words = "`size` must be a folder that can be written. Received: size='/proc/new': N"
    with (
        pytest.raises(FileNotFoundError, match=words),
        checks.writing("size", "/proc/new"),
    ):
        os.mkdir("/proc/new")
    full = OSError(errno.ENOSPC, "No space left on device", "file")
    refused = pytest.raises(OSError, match="No space left.*'file'")
    with refused, checks.writing("size", tmp_path):
        raise full


def test_a_named_directory_is_not_the_empty_path(tmp_path):
    assert message(checks.check_named_directory, tmp_path) == ""
    words = "`size` must be the path of a directory, not empty. Received: size=''"
    assert message(checks.check_named_directory, "") == words
    assert "the path of a directory" in message(checks.check_named_directory, None)
