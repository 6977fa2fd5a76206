"""Writes the tables of docs/study.md, and curves, anew from the records of its runs.

    python benchmarks/study_page.py

A table stands between a mark that says what it is of and an end:

    <!-- summary paper-small -->
    <!-- paired paper-small: asgld -->
    <!-- grid small-tuning -->
    <!-- decays cifar10-fast-decay -->
    ...
    <!-- end -->

`summary` is compare's table, `paired` the differences to one optimizer (paired.py) and
`grid` the table of `tune`, each of a folder in docs/results; `decays` has a row for
each of a folder's runs, which differ in weight decay and were judged on held-out
pictures. The curves are those of `CURVES`, by epoch and by time; of `POINTS` the runs
are drawn as points.
"""

import pathlib
import re

import paired

from keras_asgld.reports import curves, points, tables
from keras_asgld.runs import records, tasks

CURVES = ["cifar10-fast-tiny", "cifar10-fast"]
POINTS = ["controls-fast-tiny"]
DOCS = pathlib.Path(__file__).parent.parent / "docs"
PAGE = DOCS / "study.md"
MARK = r"<!-- (\w+) ([\w-]+)(?:: ([^\n]+?))? -->"
BLOCK = re.compile(MARK + r"\n.*?<!-- end -->", re.DOTALL)


def filled(text):
    """The page's text with every table as its records are now."""

    def block(match):
        mark, kind, folder, argument = match[0].split("\n")[0], *match.groups()
        table = TABLES[kind](DOCS / "results" / folder, argument)
        return f"{mark}\n\n{table.strip()}\n\n<!-- end -->"

    return BLOCK.sub(block, text)


def summary(folder, _):
    found = records.find(folder)
    score = tasks.score(found[0]["settings"])
    return _without_title(tables.markdown(tables.summarize(found), "", score))


def differences(folder, against):
    return paired.table(records.find(folder), against)


def grid(folder, _):
    return _without_title((folder / "table.md").read_text())


def decays(folder, _):
    found = [records.read(path.parent) for path in folder.glob("*/record.json")]
    rows = []
    for record in sorted(found, key=lambda record: record["settings"]["weight_decay"]):
        decay, last = record["settings"]["weight_decay"], record["epochs"][-1]
        parts = (f"{last[f'{part}_accuracy']:.2%}" for part in ("train", "validation"))
        rows.append([f"{decay:g}", *(part.replace("%", " %") for part in parts)])
    header = ["weight decay", "train accuracy", "validation accuracy"]
    return _without_title(tables.markdown_table(header, rows, ""))


def _without_title(table):
    return table[table.index("|") :]


TABLES = {"summary": summary, "paired": differences, "grid": grid, "decays": decays}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
    for name in CURVES:
        found = records.find(DOCS / "results" / name)
        picture = DOCS / "results" / name / "curves.png"
        curves.draw(picture, {curves.describe(found): found}, clock=True)
    for name in POINTS:
        found = records.find(DOCS / "results" / name)
        picture = DOCS / "results" / name / "points.png"
        points.draw(picture, found, curves.describe(found))
