"""Figures from the records of earlier runs."""

from pathlib import Path

from keras_asgld.reports import curves, drawing, published
from keras_asgld.runs import records


def plot(folders, path, reference=None):
    """Draw the records of `folders`, one column for each, into the file `path`.

    Args:
        folders: Folders of `compare` or `train`.
        path: The picture to write, in the format of its ending.
        reference: A CSV of published curves to draw beside those of the same model.

    Raises:
        ExperimentError: `reference` cannot be read or has no curve of a model, a
            folder is missing or holds no record, a record is corrupt, matplotlib is
            missing, or `path` cannot be written or has an ending that matplotlib
            does not know.
    """
    drawing.check(path)
    columns = {}
    for folder in folders:
        found = records.find(folder)
        title = curves.describe(found)
        if title in columns:  # two folders of one task: tell them by name
            title = f"{Path(folder).name}: {title}"
        columns[title] = found
    beside = {}
    if reference is not None:
        table = published.read(reference)
        for title, found in columns.items():
            model = found[0]["settings"]["model"]
            beside[title] = published.of_model(table, model, reference)
    curves.draw(path, columns, beside)
