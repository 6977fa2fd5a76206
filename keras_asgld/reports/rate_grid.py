"""The grid of learning rates as a picture."""

from keras_asgld.reports import drawing
from keras_asgld.runs import tasks


def draw(path, rows, title):
    """Draw the score against the learning rate, a line for each optimizer, as a PNG.

    A ring marks the chosen rate, a cross on the lower edge a rate that diverged.

    Args:
        path: The PNG to write.
        rows: As `tune.tune` gives them.
        title: A line above the figure.

    Raises:
        ExperimentError: matplotlib is missing, or the file cannot be written.
    """
    score = tasks.TASKS[rows[0]["task"][0]].score
    name = f"validation_{score.metric}"
    figure = drawing.canvas(7.5, 4.6)
    ax = figure.subplots()
    styles = drawing.styles([row["optimizer"] for row in rows])
    for row in rows:
        colour, dash = styles[row["optimizer"]]
        points = [
            (trial["learning_rate"], score.scale * trial[name])
            for trial in row["rates"]
            if trial[name] is not None
        ]
        label = drawing.plain(row["optimizer"], 30)
        if points:
            ax.plot(
                *zip(*points, strict=True),
                color=colour,
                linestyle=dash,
                marker="o",
                markersize=3.5,
                label=label,
            )
        if row["tuned"]:
            chosen = dict(points)[row["tuned"]["learning_rate"]]
            ring = {"markersize": 11, "markerfacecolor": "none", "color": colour}
            ax.plot(row["tuned"]["learning_rate"], chosen, "o", **ring)
        for trial in row["rates"]:
            if trial[name] is None:
                ax.plot(
                    trial["learning_rate"],
                    0.02,
                    "x",
                    color=colour,
                    transform=ax.get_xaxis_transform(),
                )
    # A rate that learns nothing would squeeze what is compared into a thin strip.
    low, high = ax.get_ylim()
    scale = score.scale
    low = max(low, high - 0.4 * scale, score.lowest * scale)
    ax.set_ylim(low, min(high, (score.highest + 0.01) * scale))
    ax.set_xscale("log")
    ax.set_xlabel("learning rate", color=drawing.GREY)
    ax.yaxis.set_major_formatter("{x:g}" + score.unit)
    drawing.quiet(ax)
    if ax.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right center", frameon=False)
    drawing.caption(figure, title)
    drawing.save(figure, path)
