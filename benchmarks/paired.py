"""Differences between one optimizer and the others of a comparison, seed by seed.

    python benchmarks/paired.py docs/results/paper-small --against=asgld

Runs of one seed start from the same weights and see the same batches, so their
differences are paired. Prints a Markdown table of mean differences, each with its 95 %
confidence interval by Student's t, to be read with the few seeds in mind:

- test accuracy and training accuracy: means of the last epochs, as in compare's table;
- early: training accuracy of the second epoch;
- unrest: how far test accuracy falls from one epoch to the next, on average from the
  third epoch on; where it rises it falls by 0.
"""

import argparse
import itertools
import math
import statistics

from scipy import stats

from keras_asgld.reports import tables
from keras_asgld.runs import records


def early(record):
    return record["epochs"][min(1, len(record["epochs"]) - 1)]["train_accuracy"]


def unrest(record):
    values = [epoch["test_accuracy"] for epoch in record["epochs"][2:]]
    falls = [max(a - b, 0.0) for a, b in itertools.pairwise(values)]
    return statistics.fmean(falls) if falls else 0.0


FIGURES = {
    "test accuracy": lambda record: tables.last(record, "test_accuracy"),
    "train accuracy": lambda record: tables.last(record, "train_accuracy"),
    "early": early,
    "unrest": unrest,
}


def interval(differences):
    """The mean and half the width of its 95 % confidence interval."""
    mean, n = statistics.fmean(differences), len(differences)
    if n < 2:
        return mean, math.nan  # one run has no spread to speak of
    quantile = stats.t.ppf(0.975, n - 1)
    return mean, quantile * statistics.stdev(differences) / n**0.5


def table(found, against):
    runs = {}
    for record in found:
        if record["status"] == "finished":
            settings = record["settings"]
            runs.setdefault(settings["optimizer"], {})[settings["seed"]] = record
    base = runs.pop(against)
    lines = [[f"minus {against}, points", *FIGURES, "seeds"], ["---"] * 6]
    for name, own in runs.items():
        seeds = sorted(set(own) & set(base))
        cells = []
        for figure in FIGURES.values():
            pairs = [100 * (figure(own[s]) - figure(base[s])) for s in seeds]
            mean, half = interval(pairs)
            spread = f" ± {half:.2f}" if len(pairs) > 1 else ""
            cells.append(f"{mean:+.2f}{spread}")
        lines.append([name, *cells, str(len(seeds))])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--against", default="asgld")
    arguments = parser.parse_args()
    print(table(records.find(arguments.folder), arguments.against))


if __name__ == "__main__":
    main()
