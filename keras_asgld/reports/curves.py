"""Learning curves from records, in the form of the paper's Figures 1 and 2."""

import numpy as np

from keras_asgld.reports import drawing, noise_panel, tables
from keras_asgld.reports.drawing import GREY, TITLE
from keras_asgld.runs import optimizers as named
from keras_asgld.runs import tasks

PARTS = {"train": "training", "test": "test"}


def draw(path, columns, reference=None, clock=False):
    """Draw the score against epochs and write it as a picture.

    One task gives two panels side by side, training and test; several tasks give
    a column each. A line is the mean over an optimizer's seeds, the band around
    it one standard deviation, and its name stands at its end. Of a single task the
    same may be drawn against time below, and where its runs were monitored, their
    noise.

    Args:
        path: The file to write, in the format of its ending.
        columns: A dict of a column's title to its records.
        reference: A dict of a column's title to published curves, each a dict of a
            panel to percentages, by name; they are thin and dotted.
        clock: Whether a single task's curves are drawn against time too.

    Raises:
        ExperimentError: matplotlib is missing, or the file cannot be written.
    """
    single = len(columns) == 1
    monitored = single and noise_panel.present(*columns.values())
    clock = clock and single
    shape = (1 + clock + monitored, 2) if single else (2, len(columns))
    figure = drawing.canvas(5.0 * shape[1], 3.9 * shape[0])
    axes = figure.subplots(*shape, squeeze=False)
    for j, (title, records) in enumerate(columns.items()):
        curves = _curves(records)
        published = (reference or {}).get(title, {})
        styles = drawing.styles([*curves, *map(_published_optimizer, published)])
        score = tasks.score(records[0]["settings"])
        for i, (part, words) in enumerate(PARTS.items()):
            ax = axes[0, i] if single else axes[i, j]
            panel = f"{words} {score.title}"
            theirs = {k: v[f"{part}_accuracy"] for k, v in published.items()}
            _panel(ax, curves, part, score, theirs, styles)
            if clock:
                minutes = _minutes_an_epoch(records)
                _panel(axes[1, i], curves, part, score, {}, styles, minutes)
                axes[1, i].set_title(f"{panel} by time", **TITLE)
            text = panel if single else drawing.plain(f"{title}: {panel}", 60)
            ax.set_title(text, **TITLE)
        for ax, (name, panel) in zip(
            axes[-1] if monitored else (), noise_panel.PANELS.items(), strict=False
        ):
            _axes(ax, curves, score, [], [])
            lines = {n: (*styles[n], r) for n, r in curves.items()}
            noise_panel.draw(ax, lines, name)
            ax.set_title(panel, **TITLE)
    if single:
        drawing.caption(figure, next(iter(columns)))
    drawing.save(figure, path)


def describe(records):
    """A column's title: what was trained, on what, over how many seeds."""
    settings = records[0]["settings"]
    seeds = tables.seeds(records)
    names = dict.fromkeys([settings["dataset"], settings["model"]])
    text = ", ".join(names)  # the digits network is called as the data set is
    if settings.get("mixed_precision"):
        text += f", {settings['mixed_precision']}"
    return f"{text}, {seeds} seeds" if seeds > 1 else text


def _curves(records):
    """Optimizer → list of its runs' epochs, in the order of the table."""
    order = list(named.OPTIMIZERS)
    names = dict.fromkeys(record["settings"]["optimizer"] for record in records)
    names = sorted(names, key=lambda n: order.index(n) if n in order else len(order))
    return {
        name: [
            record["epochs"]
            for record in records
            if record["settings"]["optimizer"] == name and record["epochs"]
        ]
        for name in names
    }


def _minutes_an_epoch(records):
    """Optimizer → minutes that an epoch's steps take, at its median time a step."""
    steps = records[0]["data"]["steps_per_epoch"]
    rows = tables.summarize(records)
    return {row["optimizer"]: (row["step_seconds"] or 0) * steps / 60 for row in rows}


def _published_optimizer(label):
    return label.partition(" ")[0]


def _panel(ax, curves, part, score, published, styles, minutes=None):
    """One score of all optimizers against epochs, or against `minutes` of an epoch."""
    ends = []
    seen = []
    for label, values in published.items():
        colour, _ = styles[_published_optimizer(label)]
        epochs, mean = np.arange(1, len(values) + 1), np.asarray(values)
        ax.plot(epochs, mean, color=colour, linestyle=":", linewidth=1.0, zorder=2)
        ends.append((mean[-1], label, colour, epochs[-1]))
        seen.append(mean[len(mean) // 5 :])
    for optimizer, runs in curves.items():
        if not runs:
            continue
        epochs, mean, std = _mean_and_std(runs, f"{part}_{score.metric}", score.scale)
        if minutes:
            epochs = epochs * minutes[optimizer]
        colour, dash = styles[optimizer]
        ax.plot(epochs, mean, color=colour, linestyle=dash, linewidth=1.9, zorder=3)
        # No seed lies beyond what the score can be, so neither does the band.
        lowest, highest = score.scale * score.lowest, score.scale * score.highest
        low, high = np.clip([mean - std, mean + std], lowest, highest)
        ax.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
        finite = np.flatnonzero(np.isfinite(mean))
        if len(finite):
            at = finite[-1]
            ends.append((mean[at], optimizer, colour, epochs[at]))
            # The first epochs' climb would squeeze what is compared into a thin strip.
            late = slice(len(mean) // 5, None)
            top = np.minimum(mean + std, score.scale * score.highest)
            seen += [mean[late], top[late]]
    lengths = [len(values) for values in published.values()]
    _axes(ax, curves, score, seen, lengths)
    if minutes:
        # Where an epoch is one step its time is not known, and neither is its place.
        ax.set_xlim(0, max((epoch for *_, epoch in ends), default=0) or 1)
        ax.set_xlabel("minutes of training, without tests", color=GREY)
    _labels_at_the_ends(ax, score, ends)


def _mean_and_std(runs, name, scale):
    """`scale` times a number by epoch; a run that ended early counts until it did."""
    length = max(len(epochs) for epochs in runs)
    table = np.full((len(runs), length), np.nan)
    for row, epochs in zip(table, runs, strict=True):
        values = [np.nan if e[name] is None else scale * e[name] for e in epochs]
        row[: len(values)] = values
    count = np.isfinite(table).sum(0)
    safe = np.maximum(count, 1)
    mean = np.where(count, np.nansum(table, 0) / safe, np.nan)
    squares = np.nansum((table - mean) ** 2, 0)
    std = np.sqrt(squares / np.maximum(count - 1, 1))
    return np.arange(1, length + 1), mean, std


def _axes(ax, curves, score, seen, lengths):
    lengths = lengths + [len(e) for runs in curves.values() for e in runs]
    longest = max(lengths, default=1)
    ax.set_xlim(1 if longest > 1 else 0, max(longest, 2))
    ax.set_xlabel("epoch", color=GREY)
    ax.yaxis.set_major_formatter("{x:g}" + score.unit)
    if seen:
        low = min(np.nanmin(values) for values in seen)
        high = max(np.nanmax(values) for values in seen)
        scale = score.scale
        room = max(high - low, 0.05 * scale)  # closer, chance would look like a result
        low = max(score.lowest * scale, high - 1.1 * room)
        ax.set_ylim(low, min(high + 0.06 * room, score.highest * scale + 0.02 * room))
    drawing.quiet(ax)
    ax.xaxis.get_major_locator().set_params(integer=True)


def _labels_at_the_ends(ax, score, ends):
    """Each line's name and last value beside its end, moved apart where they meet."""
    low, high = ax.get_ylim()
    gap = 0.062 * (high - low)
    ends = sorted(ends, reverse=True)
    places = _apart([np.clip(value, low, high) for value, *_ in ends], gap)
    for (value, optimizer, colour, epoch), place in zip(ends, places, strict=True):
        ax.annotate(
            f"{drawing.plain(optimizer, 30)} {value:.{score.digits - 1}f}",
            xy=(epoch, np.clip(value, low, high)),
            xytext=(1.04, place),
            textcoords=ax.get_yaxis_transform(),
            color=colour,
            fontsize=9.5,
            fontweight="bold" if optimizer == "asgld" else "normal",
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.8,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 1,
            },
            annotation_clip=False,
        )


def _apart(places, gap):
    """Falling `places`, moved as little as it takes to be `gap` apart.

    Those that touch become a group, spread evenly about its mean.
    """
    groups = []
    for place in places:
        groups.append([place])
        while (
            len(groups) > 1 and _top(groups[-1], gap) > _bottom(groups[-2], gap) - gap
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_top(group, gap) - k * gap for group in groups for k in range(len(group))]


def _top(group, gap):
    return sum(group) / len(group) + gap * (len(group) - 1) / 2


def _bottom(group, gap):
    return _top(group, gap) - gap * (len(group) - 1)
