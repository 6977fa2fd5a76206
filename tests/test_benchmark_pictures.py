"""The pictures of the benchmarks, drawn from the records that stand beside them."""

import itertools
import json
import pathlib

import numpy as np
import pytest

from keras_asgld.reports import drawing

pytest.importorskip("matplotlib", reason="needs the plots extra")
BENCHMARKS = pathlib.Path(__file__).parent.parent / "benchmarks"
RESULTS = BENCHMARKS / "results"
PAGES = BENCHMARKS.parent / "docs" / "results"


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved."""
    seen, save = [], drawing.save

    def noted(figure, path):
        save(figure, path)
        seen.append(figure)

    monkeypatch.setattr(drawing, "save", noted)
    return seen


def texts(figure):
    """Every text that is seen, with its box in pixels."""
    shown = [*figure.texts, figure._suptitle]
    for axes in figure.axes:
        shown += [*axes.texts, axes.title, axes._left_title, axes._right_title]
        shown += axes.get_legend().get_texts() if axes.get_legend() else []
        for number, axis in enumerate((axes.xaxis, axes.yaxis)):
            low, high = sorted(axis.get_view_interval())
            shown.append(axis.label)
            shown += [
                label
                for label in axis.get_ticklabels()
                if low <= label.get_position()[number] <= high
            ]
    shown = {id(text): text for text in shown if text is not None}.values()
    return {
        text: text.get_window_extent()
        for text in shown
        if text.get_visible() and text.get_text()
    }


def check_readable(figure):
    """No text lies on another, none beyond the picture's edge, none is cut short."""
    figure.canvas.draw()  # saving it had other pixels
    boxes = texts(figure)
    for text, box in boxes.items():
        assert "…" not in text.get_text(), text
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
    for (one, box), (other, its) in itertools.combinations(boxes.items(), 2):
        assert not box.padded(-1).overlaps(its.padded(-1)), (one, other)


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", ["update_step", "scaling"])
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_pictures_of_costs_can_be_read(script, figures, tmp_path, name, backend):
    path = RESULTS / f"{name}_{backend}.json"
    if not path.exists():
        pytest.skip("not measured")
    script(name).draw(read(path), tmp_path / "picture.png")
    check_readable(*figures)


def test_the_bars_of_an_update_are_the_records(script, figures, tmp_path):
    record = read(RESULTS / "update_step_tensorflow.json")
    case = record["cases"][0]
    script("update_step").draw(record | {"cases": [case]}, tmp_path / "picture.png")
    (axes,) = figures[0].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    widths = dict(zip(names, (bar.get_width() for bar in axes.patches), strict=True))
    for name, row in case["optimizers"].items():
        if name != "ASGLD, naive":
            assert widths[name] == row["ratio"]
    assert widths["ASGLD, naive"] < case["optimizers"]["ASGLD, naive"]["ratio"]


def test_the_picture_of_the_noise_can_be_read(script, figures, tmp_path):
    pytest.importorskip("scipy", reason="needs the diagnostics extra")
    record = read(RESULTS / "noise_quality.json")
    script("noise_quality")._draw(record, tmp_path / "picture.png")
    check_readable(*figures)


def test_the_picture_of_the_bias_can_be_read(script, figures, tmp_path):
    pytest.importorskip("jax", reason="needs the package jax")
    record = read(RESULTS / "sampler_bias.json")
    script("sampler_bias").draw(record, tmp_path / "picture.png")
    check_readable(*figures)


def test_the_picture_of_where_noise_helps_is_of_its_record(script, figures, tmp_path):
    pytest.importorskip("jax", reason="needs the package jax")
    record = read(PAGES / "where_noise_helps.json")
    script("where_noise_helps").draw(record, tmp_path / "picture.png")
    check_readable(*figures)
    for axes, rules in zip(figures[0].axes, record.values(), strict=True):
        for line in axes.lines:
            scores = rules[line.get_label()]["by rate"].values()
            np.testing.assert_allclose(line.get_ydata(), [100 * s for s in scores])


def test_the_picture_of_the_gap_can_be_read(script, figures, tmp_path):
    record = read(PAGES / "regression_with_a_gap.json")
    reference = read(PAGES / "regression_with_a_gap_nuts.json")
    path = tmp_path / "picture.png"
    script("regression_with_a_gap").draw(record["BAOA"], reference, path)
    check_readable(*figures)


def test_the_picture_of_the_logistic_regression_can_be_read(script, figures, tmp_path):
    pytest.importorskip("blackjax", reason="needs the package blackjax")
    logistic = script("bayesian_logistic_regression")
    rng = np.random.default_rng(0)
    centre, width = np.linspace(-1.5, 1, 31), np.linspace(0.4, 0.9, 31)
    draws = {
        name: rng.normal(centre, width, size=(4, 500, 31))
        for name in ("NUTS", *logistic.SETTINGS)
    }
    reference = draws.pop("NUTS")
    *_, names = logistic.load()
    logistic.draw_figure(draws, reference, names, tmp_path / "picture.png")
    check_readable(*figures)
