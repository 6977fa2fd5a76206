"""The picture shows the worst quantities, each chain's trace and its ranks."""

import numpy as np
import pytest

from keras_asgld import diagnostics

pytest.importorskip("arviz", reason="needs the extra diagnostics")


def titles(picture):
    return [row.get_title(loc="left") for row in picture.axes[::2]]


def test_the_worst_quantities_come_first():
    values = np.random.default_rng(0).normal(size=(3, 200, 5))
    values[0, :, 3] += 3
    values[1, :, 1] += 1
    picture = diagnostics.figure({"predictions": values}, quantities=2)
    found = diagnostics.convergence({"predictions": values}).rhat["predictions"]
    assert titles(picture) == [
        f"predictions[3], R-hat {found[3]:.3f}",
        f"predictions[1], R-hat {found[1]:.3f}",
    ]
    for chain, line in enumerate(picture.axes[0].get_lines()):
        np.testing.assert_array_equal(line.get_ydata(), values[chain, :, 3])


def test_bars_are_the_ranks_of_each_chain():
    """Of two chains that do not overlap, each has all its ranks in one half."""
    values = np.random.default_rng(0).normal(size=(2, 100))
    values[1] += 100
    bars = diagnostics.figure(values).axes[1].patches
    heights = np.array([bar.get_height() for bar in bars]).reshape(2, 20)
    assert (heights[0, 10:] == 0).all() and (heights[1, :10] == 0).all()
    assert (heights[0, :10] > 0).all() and (heights[1, 10:] > 0).all()
    assert [bar.get_y() for bar in bars] == [0] * 20 + [1] * 20


def test_even_ranks_reach_the_line():
    values = np.arange(400.0).reshape(200, 2).T  # every other rank is of each chain
    axes = diagnostics.figure(values).axes[1]
    assert {bar.get_height() for bar in axes.patches} == {0.5}
    assert [line.get_ydata()[0] for line in axes.get_lines()] == [0.5, 1.5]


def test_constant_quantities_and_odd_names_are_drawn(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 20))
    draws = {"a$b": np.ones((2, 20)), "loss": values}
    picture = diagnostics.figure(draws)
    assert titles(picture)[1] == r"a\$b, constant"
    picture.savefig(tmp_path / "chains.png")
    assert (tmp_path / "chains.png").stat().st_size > 1000


def test_quantities_must_be_a_count():
    with pytest.raises(ValueError, match="`quantities` must be an integer >= 1"):
        diagnostics.figure(np.ones((2, 20)), quantities=0)
