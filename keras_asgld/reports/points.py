"""Many variants on one task: each run's final score as a point."""

import statistics

from keras_asgld.reports import drawing, tables
from keras_asgld.runs import tasks


def draw(path, records, title):
    """Draw a row for each optimizer, with a dot for each seed and a bar at their mean.

    Args:
        path: The PNG to write.
        records: Records of one task, in the order of the rows.
        title: A line above the figure: what was trained.

    Raises:
        ExperimentError: matplotlib is missing, or the file cannot be written.
    """
    score = tasks.score(records[0]["settings"])
    values = {}
    for record in records:
        scores = values.setdefault(record["settings"]["optimizer"], [])
        if record["status"] == "finished":
            last = tables.last(record, f"test_{score.metric}")
            scores.append(score.scale * last)
    figure = drawing.canvas(7.5, 1.2 + 0.36 * len(values))
    ax = figure.subplots()
    for place, scores in enumerate(values.values()):
        if not scores:
            ax.text(0.01, place, "diverged", transform=ax.get_yaxis_transform())
            continue
        mean = statistics.fmean(scores)
        ax.plot([mean] * 2, [place - 0.3, place + 0.3], color="#0072B2", linewidth=2.5)
        ax.plot(scores, [place] * len(scores), "o", color="#D55E00", ms=5)
    ax.set_yticks(range(len(values)), [drawing.plain(name, 30) for name in values])
    ax.invert_yaxis()
    settings = records[0]["settings"]
    mean = tables.mean_of_last_epochs(settings["epochs"], settings.get("schedule"))
    ax.set_xlabel(
        f"test {score.title}, {mean}: a dot is a run, a bar is the runs' mean",
        color=drawing.GREY,
        fontsize=9,
    )
    ax.xaxis.set_major_formatter("{x:g}" + score.unit)
    drawing.quiet(ax, grid="both")
    drawing.caption(figure, title)
    drawing.save(figure, path)
