"""Figures from the records of earlier runs."""

from pathlib import Path

from keras_asgld.experiments import figures, records


def plot(folders, path):
    """Draw the records of `folders`, one column for each, into the PNG `path`.

    Raises:
        ExperimentError: A folder is missing or holds no record, a record is
            corrupt, matplotlib is missing, or `path` cannot be written.
    """
    columns = {}
    for folder in folders:
        found = records.find(folder)
        title = figures.describe(found)
        if title in columns:  # two folders of one task: tell them by name
            title = f"{Path(folder).name}: {title}"
        columns[title] = found
    figures.draw(path, columns)
