"""The workflow on GitHub runs what .ci/run runs."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent


ARGUMENT = r"-n 2|-m slow|tests/[\w/.]+"


def runs(name):
    """The arguments of each run of pytest in a file, as sets."""
    text = re.sub(r"\\?\n\s*(?=tests/)", " ", (ROOT / name).read_text())
    found = re.findall(rf"(?<![\w-])pytest((?: +(?:{ARGUMENT}))+)", text)
    return {frozenset(re.findall(ARGUMENT, each)) - {"-n 2"} for each in found}


def test_the_workflow_has_the_stages_of_the_script():
    here, there = runs(".ci/run"), runs(".github/workflows/tests.yml")
    here.add(frozenset())  # README's command, which the script looks up
    assert len(here) == 8 and there == here


def test_both_check_style_types_and_site_and_try_the_archives():
    for name in (".ci/run", ".github/workflows/tests.yml"):
        text = (ROOT / name).read_text()
        for command in (
            "ruff check",
            "ruff format --check",
            "mypy",
            "tools/try_package",
            "mkdocs build --strict",
        ):
            assert command in text, name
        assert "-c constraints/lowest.txt" in text
