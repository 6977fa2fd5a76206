"""Examples run, and the commands in README are the ones that work."""

import configparser
import importlib
import inspect
import pathlib
import pkgutil
import re

import pytest

import keras_asgld
from keras_asgld import backend
from keras_asgld.runs.tasks import TASKS

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(text):
    return re.findall(r"```python\n(.*?)```", inspect.cleandoc(text), re.DOTALL)


def documented():
    """(name, example) of every docstring of the package that has one."""
    for module in pkgutil.walk_packages(keras_asgld.__path__, "keras_asgld."):
        room, _, name = module.name.rpartition(".")
        if name == "__main__":
            continue
        if room == backend.__name__ and name != backend.NAME:
            # Its library may not be installed; its own backend's run imports it.
            continue
        loaded = importlib.import_module(module.name)
        members = [(module.name, loaded)] + [
            (f"{module.name}.{name}", member)
            for name, member in vars(loaded).items()
            if getattr(member, "__module__", None) == module.name
        ]
        for name, member in members:
            for code in examples(getattr(member, "__doc__", None) or ""):
                yield pytest.param(code, id=name)


@pytest.mark.parametrize("code", list(documented()))
def test_docstring_example_runs(code, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "<example>", "exec"), {})


def examples_of_pages():
    front = "\n".join(examples(README))  # which go on from each other
    yield pytest.param(front, id="README.md", marks=pytest.mark.slow)
    for page in PAGES[1:]:
        for number, code in enumerate(examples(page.read_text()), 1):
            marks = [pytest.mark.slow] if "Chains(" in code else []
            place = f"{page.relative_to(ROOT)}-{number}"
            yield pytest.param(code, id=place, marks=marks)


@pytest.mark.parametrize("code", list(examples_of_pages()))
def test_example_of_a_page_runs(code, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "<page>", "exec"), {})


def test_optimizers_have_an_example_that_runs():
    names = [parameter.id for parameter in documented()]
    for name in keras_asgld.__all__:
        public = getattr(keras_asgld, name)
        if inspect.ismodule(public):
            assert any(each.startswith(f"{public.__name__}.") for each in names)
        else:
            assert f"{inspect.getmodule(public).__name__}.{name}" in names


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_of_a_page_exist(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), target


def test_links_of_readme_lead_to_the_guide_and_every_notebook():
    for path in ["docs/guide/index.md", *sorted((ROOT / "colab").glob("*.ipynb"))]:
        assert f"]({(ROOT / path).relative_to(ROOT)})" in README


def test_commands_of_readme_name_extras_that_exist():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = set(config["options.extras_require"])
    named = {
        extra
        for group in re.findall(r"\[([a-z,]+)\]'", README)
        for extra in group.split(",")
    }
    assert named and named <= extras


def test_ci_runs_the_test_command_of_readme():
    assert (
        "grep -m 1 '&& .venv/bin/pytest -n 2$' README.md"
        in (ROOT / ".ci" / "run").read_text()
    )
    assert re.search(
        r"^python3 -m venv .*&& \.venv/bin/pytest -n 2$", README, re.MULTILINE
    )


def test_readme_is_read_in_a_minute():
    assert len(README.splitlines()) <= 120
    assert len(README.split()) <= 1000


# Lines that a reader sees before scrolling.
FIRST_SCREEN = "\n".join(README.splitlines()[:45])


def test_five_questions_are_answered_before_the_first_scroll():
    what, why, when_not, install, swap = (
        FIRST_SCREEN.find(words)
        for words in (
            "Optimizers for Keras 3",
            "**Why leave `Adam()` for it:**",
            "**When not:**",
            "`pip install .`",
            "model.fit(x, y, epochs=10",
        )
    )
    assert 0 < what < why < when_not < install < swap


def row(page, *names, second=""):
    """The cells after these in the first row of a page's tables that begins so.

    Args:
        second: What the first of those cells ends with, where tables share names.
    """
    start = "| " + " | ".join(names) + " | "
    for line in (ROOT / "docs" / page).read_text().splitlines():
        cells = line.removeprefix(start).split(" | ")
        if line.startswith(start) and cells[0].endswith(second):
            return cells
    raise AssertionError(f"{page} has no row {names}")


def test_numbers_of_readme_are_those_of_the_pages_that_it_links():
    text = " ".join(FIRST_SCREEN.split())
    of_tasks = {
        name: row("study.md", name, second=" of 12")
        for name in ("ScaleFreeASGLD()", "Lion()", "Adam()", "adam, tuned")
    }
    ours, lion, adam, tuned = of_tasks.values()
    half = [cells[-1].split(", ")[1].removesuffix(" |") for cells in (ours, adam)]
    words = "scored {} points below the best of three tuned optimizers on average, "
    assert (words + "`Adam()` {}.").format(*half) in text
    assert f"it was {ours[2]} behind, `Adam()` {adam[2]}." in text
    assert f"it was {tuned[1]} points behind." in text
    words = f"{ours[1]} points behind, `Lion()` {lion[1]}, `Adam()` {adam[1]} |"
    assert words in " ".join(README.split())

    def accuracy(share, method):
        return round(float(row("ensembles.md", share, method)[0].split()[0]))

    posterior, best = "SGHMC, posterior", "Adam, best epoch by held-out data"
    assert f"right on {accuracy('20%', posterior)} % of new pictures" in text
    last = accuracy("20%", "Adam, last epoch")
    at_best = f"it had {accuracy('20%', best)} % too at its best epoch"
    assert f"Adam fell to {last} %; {at_best}" in text
    clean = accuracy("0%", best), accuracy("0%", posterior)
    assert f"({clean[0]} against {clean[1]} %)" in text


@pytest.mark.parametrize("name", TASKS)
def test_the_tables_of_the_command_have_every_task(name):
    _, networks, score, length = row("guide/command.md", f"`{name}`")
    task = TASKS[name]
    assert length == f"{task.epochs} × {task.batch_size} |"
    assert score == task.score.title
    if task.models:
        assert set(re.findall(r"`([^`]+)`", networks)) == set(task.models)
