"""All epochs of a comparison's runs as one CSV, for spreadsheets and data frames."""

import csv
import io

NAME = "epochs.csv"


def text(records):
    """A line for each epoch of each record, under the names of its numbers.

    Empty where a number is not known: in a run that was not monitored, for example.
    """
    rows = [row for record in records for row in _rows(record)]
    names = dict.fromkeys(name for row in rows for name in row)
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _rows(record):
    settings = record["settings"]
    run = {
        "optimizer": settings["optimizer"],
        "seed": settings["seed"],
        "status": record["status"],
    }
    for epoch in record["epochs"]:
        numbers = dict(epoch)
        noise = numbers.pop("noise", {})
        yield run | numbers | noise
