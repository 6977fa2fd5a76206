"""The grid of learning rates as a figure."""

from keras_asgld.reports import drawing


def draw(path, rows, title):
    """Draw accuracy against learning rate, a line for each optimizer, as a PNG.

    A ring marks the chosen rate, a cross on the lower edge a rate that diverged.

    Args:
        path: The PNG to write.
        rows: As `tune.tune` gives them.
        title: A line above the figure.

    Raises:
        ExperimentError: matplotlib is missing, or the file cannot be written.
    """
    figure = drawing.canvas(7.5, 4.6)
    ax = figure.subplots()
    styles = drawing.styles([row["optimizer"] for row in rows])
    for row in rows:
        colour, dash = styles[row["optimizer"]]
        points = [
            (trial["learning_rate"], 100 * trial["validation_accuracy"])
            for trial in row["rates"]
            if trial["validation_accuracy"] is not None
        ]
        label = row["optimizer"]
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
            if trial["validation_accuracy"] is None:
                ax.plot(
                    trial["learning_rate"],
                    0.02,
                    "x",
                    color=colour,
                    transform=ax.get_xaxis_transform(),
                )
    # A rate that learns nothing would press what is compared into a thin strip.
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, high - 40, 0), min(high, 101))
    ax.set_xscale("log")
    ax.set_xlabel("learning rate", color=drawing.GREY)
    ax.yaxis.set_major_formatter("{x:g} %")
    drawing.quiet(ax)
    if ax.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", frameon=False)
    drawing.caption(figure, title)
    drawing.save(figure, path)
