"""Figures are ArviZ's, faults are found, and independent draws pass."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from keras_asgld import diagnostics
from tests.support import processes

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    arviz = pytest.importorskip("arviz", reason="needs the extra diagnostics")

TRIALS = 100
CHAINS, DRAWS = 4, 1000


def draws(rng, quantities=2):
    return rng.normal(size=(CHAINS, DRAWS, quantities))


def remembering(rng, memory, shape):
    """Draws of standard normal law, each correlated with the one before by `memory`."""
    values = rng.normal(size=shape)
    for draw in range(1, shape[1]):
        fresh = np.sqrt(1 - memory**2) * values[:, draw]
        values[:, draw] = memory * values[:, draw - 1] + fresh
    return values


def one_in_another_mode(rng):
    values = draws(rng)
    values[0, :, 0] += 3  # the second quantity agrees
    return values


def a_frozen_chain(rng):
    values = draws(rng)
    values[2] = values[2, :1]
    return values


def burn_in(rng):
    """One draw in five comes from the way from ten standard deviations off."""
    values = draws(rng)
    way = 10 * np.exp(-5 * np.arange(DRAWS) / (DRAWS // 5))
    return values + way[:, None]


def shared_noise(rng):
    """Chains that forget where they began and get the same noise."""
    values = np.repeat(remembering(rng, 0.5, (1, DRAWS, 2)), CHAINS, axis=0)
    starts = rng.normal(size=(CHAINS, 1, 2)) * 0.5 ** np.arange(DRAWS)[:, None]
    return values + starts


def partly_shared_noise(rng):
    """Half of the variance of two chains among four is the same noise."""
    values = draws(rng)
    values[:2] = (values[:2] + rng.normal(size=(DRAWS, 2))) / np.sqrt(2)
    return values


def too_short(rng):
    return remembering(rng, 0.99, (CHAINS, DRAWS, 2))


FAULTS = {
    one_in_another_mode: "largest R-hat",
    a_frozen_chain: "chain 2 stands still",
    burn_in: "largest R-hat",
    shared_noise: "move together",
    partly_shared_noise: "chains 0 and 1 move together",
    too_short: "smallest bulk ESS",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_each_time(fault):
    missed = 0
    for seed in range(TRIALS):
        verdict = diagnostics.convergence(fault(np.random.default_rng(seed))).verdict
        missed += not (verdict.startswith("not converged") and FAULTS[fault] in verdict)
    # With no miss in 100 the rate is below 3 %, at a confidence of 95 %.
    assert missed == 0


def independent(rng):
    return {"weights": draws(rng), "loss": rng.exponential(size=(CHAINS, DRAWS))}


def remembered(rng):
    """An effective sample of about one draw in three."""
    return remembering(rng, 0.5, (CHAINS, DRAWS, 3))


@pytest.mark.parametrize("sound", [independent, remembered])
def test_sound_chains_pass(sound):
    refused = []
    for seed in range(TRIALS):
        found = diagnostics.convergence(sound(np.random.default_rng(seed)))
        assert found.verdict.startswith("converged") == found.converged
        refused += [found.verdict] * (not found.converged)
    # At a true rate of 1 % more than 4 of 100 happen with a probability of 0.3 %.
    assert len(refused) <= 4, refused


def test_independent_chains_are_seldom_said_to_share_their_noise():
    accused = 0
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        values = remembering(rng, [0, 0.5, 0.9, 0.97][seed % 4], (4, 300, 5))
        accused += "together" in diagnostics.convergence(values).verdict
    # The rate is meant to be 0.1 %; at 1 % more than 4 have a probability of 0.3 %.
    assert accused <= 4


def test_figures_are_those_of_arviz():
    rng = np.random.default_rng(0)
    values = {
        "predictions": remembering(rng, 0.7, (3, 50, 2)).reshape(3, 50, 2, 1),
        "loss": rng.exponential(size=(3, 50)),
    }
    values["predictions"][1] += 0.5
    found = diagnostics.convergence(values)
    for name, places in {"predictions": [(0, 0), (1, 0)], "loss": [()]}.items():
        for place in places:
            one = values[name][(slice(None), slice(None), *place)]
            expected = {
                "rhat": arviz.rhat(one),
                "bulk_ess": arviz.ess(one, method="bulk"),
                "tail_ess": arviz.ess(one, method="tail"),
                "mcse": arviz.mcse(one, method="mean"),
            }
            for figure, value in expected.items():
                measured = getattr(found, figure)[name][place]
                np.testing.assert_allclose(measured, value, rtol=1e-12)
    assert found.rhat["loss"].shape == () and found.rhat["predictions"].shape == (2, 1)
    assert (found.chains, found.draws) == (3, 50)


def test_figures_are_what_their_formulas_say():
    """From the definitions, for draws whose ranks are almost their values."""
    rng = np.random.default_rng(3)
    values = draws(rng, 1)
    values[0] += 0.3
    found = diagnostics.convergence(values)
    halves = values.reshape(2 * CHAINS, DRAWS // 2)
    within = halves.var(axis=1, ddof=1).mean()
    between = halves.mean(axis=1).var(ddof=1)
    half = DRAWS // 2
    rhat = np.sqrt(((half - 1) / half * within + between) / within)
    assert found.rhat["draws"][0] == pytest.approx(rhat, abs=2e-3)
    assert rhat > 1.01 and not found.converged


def test_verdicts_are_one_line_that_names_numbers():
    rng = np.random.default_rng(1)
    found = diagnostics.convergence({"loss": rng.normal(size=(4, 1000))})
    rhat, ess = found.rhat["loss"], found.bulk_ess["loss"]
    expected = (
        f"converged: largest R-hat {rhat:.3f}, smallest bulk ESS {ess:,.0f} of 4,000"
    )
    assert str(found) == found.verdict == expected
    values = rng.normal(size=(4, 100, 3))
    values[1, :, 2] += 2
    found = diagnostics.convergence({"predictions": values})
    assert found.verdict.startswith(
        f"not converged: largest R-hat {found.rhat['predictions'][2]:.3f} "
        "(predictions[2]), above 1.01; smallest bulk ESS "
        f"{found.bulk_ess['predictions'][2]:.0f} of 400 (predictions[2]), below 400"
    )
    assert "\n" not in found.verdict


def test_limits_are_those_that_are_asked_for():
    values = np.random.default_rng(2).normal(size=(2, 30))
    assert not diagnostics.convergence(values).converged
    assert diagnostics.convergence(values, rhat=1.2, ess=5).converged
    assert "below 90" in diagnostics.convergence(values, rhat=1.2, ess=45).verdict


def test_mirrored_chains_do_not_move_together():
    series = np.random.default_rng(4).normal(size=1000)
    assert diagnostics.convergence([series, -series]).converged
    for count in range(4, 40):  # of some the correlation is -1 to the last bit
        short = diagnostics.convergence([series[:count], -series[:count]])
        assert "together" not in short.verdict
    together = diagnostics.convergence([series, series]).verdict
    assert "chains 0 and 1 move together (correlation 1.00)" in together


def test_what_is_the_same_everywhere_counts_neither_way():
    values = draws(np.random.default_rng(5), 3)
    values[..., 1] = 1.0
    found = diagnostics.convergence(values)
    assert found.converged
    assert np.isnan(found.rhat["draws"]).tolist() == [False, True, False]
    nothing = diagnostics.convergence(np.ones((4, 10)))
    assert nothing.verdict == "not converged: nothing moves in any chain"


def test_chains_that_each_stand_elsewhere_have_not_converged():
    values = np.repeat(np.arange(3.0)[:, None], 10, axis=1)
    found = diagnostics.convergence(values)
    assert not found.converged and found.rhat["draws"] == np.inf
    assert "chain 0 stands still (draws); chain 1" in found.verdict


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones(5), r"`draws` must have shape \(chains, draws.*shape \(5,\)"),
        (np.ones((1, 50)), r"at least 2 chains and 4 draws.*shape \(1, 50\)"),
        (np.ones((4, 3)), r"at least 2 chains and 4 draws.*shape \(4, 3\)"),
        (np.ones((4, 9, 0)), r"hold numbers.*shape \(4, 9, 0\)"),
        ([["a"] * 9] * 4, "`draws` must be an array of real numbers"),
        (np.ones((4, 9)) * 1j, "`draws` must be an array of real numbers"),
        ([[1, 2], [1]], r"`draws` must be an array of real.*draws=\[\[1, 2\], \[1\]\]"),
        ({}, r"`draws` must be an array, or a dict of them by name.*draws=\{\}"),
        ({1: np.ones((4, 9))}, "`draws` must be an array, or a dict of them by name"),
        ({"a": np.ones(5)}, r"`draws\['a'\]` must have shape"),
        (
            {"a": np.ones((4, 9, 2)), "b": np.ones((4, 8))},
            r"draws\['a'\] of shape \(4, 9, 2\), draws\['b'\] of shape \(4, 8\)",
        ),
    ],
)
def test_draws_of_another_kind_are_refused(wrong, message):
    for function in (
        diagnostics.convergence,
        diagnostics.to_arviz,
        diagnostics.figure,
    ):
        with pytest.raises(ValueError, match=f"{message}"):
            function(wrong)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_named(number):
    values = np.ones((2, 6, 3))
    values[1, 4, 2] = number
    message = (
        rf"`draws\['loss'\]` must be finite.*{number} in draw 4 of chain 1, at \(2,\)"
    )
    with pytest.raises(ValueError, match=message):
        diagnostics.convergence({"loss": values})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rhat": 1.0}, "`rhat` must be above 1. Received: rhat=1.0"),
        ({"rhat": "low"}, "`rhat` must be a float"),
        ({"ess": -1}, "`ess` must be finite and not negative"),
    ],
)
def test_limits_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.convergence(np.ones((2, 9)), **arguments)


def test_draws_become_the_data_type_of_arviz():
    values = independent(np.random.default_rng(0))
    data = diagnostics.to_arviz(values)
    assert isinstance(data, arviz.InferenceData)
    for name, array in values.items():
        np.testing.assert_array_equal(data.posterior[name], array)
    assert len(arviz.summary(data)) == 3
    lone = diagnostics.to_arviz(values["loss"])
    np.testing.assert_array_equal(lone.posterior["draws"], values["loss"])


def test_a_warning_of_arviz_about_its_next_version_is_no_error(tmp_path):
    program = "from keras_asgld import diagnostics; diagnostics.to_arviz([[0] * 4] * 2)"
    result = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning:arviz", "-c", program],
        capture_output=True,
        text=True,
        # It warns once a day, and keeps the day in the user's cache.
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(tmp_path),
            "PYTHONPATH": str(processes.ROOT),
        },
    )
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize(
    ("library", "functions"),
    [
        ("arviz", ["convergence", "to_arviz", "figure"]),
        ("matplotlib.figure", ["figure"]),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_brings_it(
    monkeypatch, library, functions
):
    monkeypatch.setitem(sys.modules, library, None)
    for name in functions:
        with pytest.raises(ImportError, match="pip install .* 'arviz<1'"):
            getattr(diagnostics, name)(np.random.default_rng(0).normal(size=(2, 9)))
