"""Figures from the records of earlier runs."""

from pathlib import Path

from keras_asgld.reports import curves, drawing, published
from keras_asgld.runs import records
from keras_asgld.runs.files import ExperimentError


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
        # Two folders of one task are told by their names, or by their whole paths.
        names = (title, f"{Path(folder).name}: {title}", f"{folder}: {title}")
        free = [name for name in names if name not in columns]
        if not free:
            raise ExperimentError(
                f"`plot` must have each folder once. Received: {folder}"
            )
        columns[free[0]] = found
    beside = {}
    if reference is not None:
        table = published.read(reference)
        for title, found in columns.items():
            model = found[0]["settings"]["model"]
            beside[title] = published.of_model(table, model, reference)
    curves.draw(path, columns, beside)
