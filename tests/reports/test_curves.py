import builtins
import itertools

import matplotlib.image
import numpy as np
import pytest

from keras_asgld.reports import curves, drawing
from keras_asgld.runs import optimizers as named
from keras_asgld.runs.files import ExperimentError


def record(optimizer, seed, accuracy, dataset="digits"):
    epochs = [
        {
            "epoch": i + 1,
            "train_accuracy": value,
            "test_accuracy": value and value - 0.1,
        }
        for i, value in enumerate(accuracy)
    ]
    settings = {
        "optimizer": optimizer,
        "seed": seed,
        "dataset": dataset,
        "model": "cnn",
    }
    return {"settings": settings, "status": "finished", "epochs": epochs}


def coloured(path):
    """How many pixels have a curve's colour, by optimizer."""
    pixels = np.round(255 * matplotlib.image.imread(path)[..., :3]).astype(int)

    def count(place):
        colour = drawing.COLOURS[place].lstrip("#")
        wanted = [int(colour[i : i + 2], 16) for i in (0, 2, 4)]
        return int((np.abs(pixels - wanted).max(-1) < 8).sum())

    return {"asgld": count(0), "sgd": count(1), "momentum": count(2)}


def test_the_curves_are_in_the_picture(tmp_path):
    runs = [record("asgld", s, [0.3, 0.6, 0.9 + 0.01 * s]) for s in (0, 1)]
    curves.draw(tmp_path / "one.png", {"t": runs})
    runs += [record("momentum", s, [0.4, 0.7, 0.8 - 0.01 * s]) for s in (0, 1)]
    curves.draw(tmp_path / "two.png", {"t": runs})
    one, two = coloured(tmp_path / "one.png"), coloured(tmp_path / "two.png")
    assert one["asgld"] > 500 and two["asgld"] > 500 and two["momentum"] > 500
    assert one["momentum"] == two["sgd"] == 0


@pytest.mark.parametrize("size", [4, 6])
def test_up_to_six_lines_of_a_figure_have_colours_of_their_own(size):
    for names in itertools.combinations(named.OPTIMIZERS, size):
        styles = drawing.styles(names)
        assert list(styles) == list(names)
        assert len({colour for colour, _ in styles.values()}) == size
        assert styles.get("asgld", (drawing.COLOURS[0], "-")) == (
            drawing.COLOURS[0],
            "-",
        )
    many = drawing.styles([f"psi={i}" for i in range(18)])
    assert len(set(many.values())) == 18


@pytest.mark.parametrize("ending, start", [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_figure_has_the_format_of_its_ending(tmp_path, ending, start):
    path = tmp_path / f"figure.{ending}"
    curves.draw(path, {"t": [record("sgd", 0, [0.5, 0.6])]})
    assert path.read_bytes().startswith(start)


def test_several_folders_stand_side_by_side(tmp_path):
    runs = [record("asgld", 0, [0.3, 0.6, 0.9])]
    curves.draw(tmp_path / "one.png", {"a": runs})
    curves.draw(tmp_path / "three.png", {"a": runs, "b": runs, "c": runs})
    one, three = (
        matplotlib.image.imread(tmp_path / name).shape[:2]
        for name in ("one.png", "three.png")
    )
    assert three[1] == 1.5 * one[1] and three[0] == 2 * one[0]
    assert coloured(tmp_path / "three.png")["asgld"] > 500


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("accuracy", [[0.5], [0.5, None], [None], [1.0, 1.0]])
def test_short_diverged_and_flat_runs_can_be_drawn(tmp_path, accuracy):
    curves.draw(tmp_path / "figure.png", {"t": [record("sgd", 0, accuracy)]})
    assert matplotlib.image.imread(tmp_path / "figure.png").size


def test_mean_and_band_are_numpys():
    runs = [[0.5, 0.7], [0.6, 0.9], [0.7, 0.8]]
    epochs = [record("sgd", 0, run)["epochs"] for run in runs]
    numbers, mean, std = curves._mean_and_std(epochs, "train_accuracy", 100)
    assert list(numbers) == [1, 2]
    np.testing.assert_allclose(mean, 100 * np.mean(runs, 0))
    np.testing.assert_allclose(std, 100 * np.std(runs, 0, ddof=1))


def test_labels_that_meet_are_moved_apart_and_others_left():
    places = curves._apart([10.0, 9.9, 9.8, 5.0], gap=1.0)
    assert places[3] == 5.0
    np.testing.assert_allclose(-np.diff(places[:3]), 1.0)
    np.testing.assert_allclose(np.mean(places[:3]), 9.9)


def test_without_matplotlib_its_package_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ExperimentError, match="pip install matplotlib"):
        curves.draw(tmp_path / "figure.png", {"t": [record("sgd", 0, [0.5])]})
    assert not (tmp_path / "figure.png").exists()


def test_by_time_a_slow_optimizer_ends_later(tmp_path, monkeypatch):
    def timed(optimizer, seconds):
        found = record(optimizer, 0, [0.3, 0.6, 0.9])
        for epoch in found["epochs"]:
            epoch.update(step_seconds=seconds, train_loss=1.0, test_loss=1.0)
        return found | {"data": {"steps_per_epoch": 120}}

    drawn = []
    monkeypatch.setattr(drawing, "save", lambda figure, path: drawn.append(figure))
    runs = [timed("asgld", 0.5), timed("momentum", 1.0)]
    curves.draw(tmp_path / "c.png", {"t": runs}, clock=True)
    by_epoch, by_time = drawn[0].axes[0], drawn[0].axes[2]
    assert _across(by_epoch) == [[1, 2, 3], [1, 2, 3]]
    assert _across(by_time) == [[1, 2, 3], [2, 4, 6]]
    assert by_time.get_xlim() == (0, 6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("accuracy", [[], [0.3, 0.6]])
def test_by_time_a_run_whose_time_is_not_known_can_be_drawn(tmp_path, accuracy):
    found = record("sgd", 0, accuracy) | {"status": "failed"}
    for epoch in found["epochs"]:
        epoch["step_seconds"] = None
    found["data"] = {"steps_per_epoch": 120}
    curves.draw(tmp_path / "figure.png", {"t": [found]}, clock=True)
    assert matplotlib.image.imread(tmp_path / "figure.png").size


def _across(axes):
    return [list(line.get_xdata()) for line in axes.lines]
