"""R-hat, ESS and MCSE of many quantities, and one line that says what they mean."""

import dataclasses

import numpy as np

from keras_asgld.checks import check_number, require
from keras_asgld.diagnostics import dependence
from keras_asgld.diagnostics import draws as arrays
from keras_asgld.diagnostics.library import arviz, to_arviz


@dataclasses.dataclass(frozen=True)
class Convergence:
    """What `convergence` found; `print` shows its verdict.

    Attributes:
        rhat: A dict of arrays by the names of the draws, with a number for each
            quantity: rank-normalised split R-hat. NaN, as the ESS are, for a
            quantity that is the same in all draws of all chains.
        bulk_ess, tail_ess: The like of effective sample sizes.
        mcse: The like of the Monte Carlo standard errors of the means.
        chains, draws: How many chains there are, and draws in each.
        reasons: A tuple of strings, all that speaks against convergence.
    """

    rhat: dict[str, np.ndarray]
    bulk_ess: dict[str, np.ndarray]
    tail_ess: dict[str, np.ndarray]
    mcse: dict[str, np.ndarray]
    chains: int
    draws: int
    reasons: tuple[str, ...]

    @property
    def converged(self) -> bool:
        return not self.reasons

    @property
    def verdict(self) -> str:
        """One line."""
        if self.reasons:
            return "not converged: " + "; ".join(self.reasons)
        total = f"{self.chains * self.draws:,}"
        rhat, _ = _extreme(self.rhat, np.nanargmax)
        ess, _ = _extreme(self.bulk_ess, np.nanargmin)
        return (
            f"converged: largest R-hat {rhat:.3f}, "
            f"smallest bulk ESS {ess:,.0f} of {total}"
        )

    def __str__(self) -> str:
        return self.verdict


def convergence(
    draws: arrays.Draws, rhat: float = 1.01, ess: float = 100
) -> Convergence:
    """Judges whether chains agree and have been run for long enough.

    Judge chains by what you will use: by their predictions. Weights need not agree,
    since a network computes the same with its units in another order.

    ```python
    import numpy as np
    from keras_asgld import diagnostics

    rng = np.random.default_rng(0)
    draws = {
        "predictions": rng.normal(size=(4, 500, 3)),  # of three examples
        "loss": rng.exponential(size=(4, 500)),
    }
    found = diagnostics.convergence(draws)
    print(found)  # converged: largest R-hat 1.003, smallest bulk ESS …
    assert found.converged and found.mcse["predictions"].shape == (3,)

    draws["predictions"][1] += 1  # the second chain is somewhere else
    assert not diagnostics.convergence(draws).converged
    ```

    Chains have converged if

    - no R-hat is above `rhat` and no effective sample size, bulk or tail, is below
      `ess` a chain (Vehtari et al. 2021);
    - no chain stands still in a quantity in which another moves;
    - no two chains rise and fall together: chains that share their noise agree
      with each other and prove nothing, and neither R-hat nor ESS can see it. Their
      rank correlations are tested so that independent chains fail in one case of
      a thousand.

    A quantity that is the same in all draws of all chains counts neither way. ArviZ
    computes R-hat, ESS and MCSE, in about ten milliseconds a quantity: of a large set
    take some hundred predictions.

    Args:
        draws: An array of shape (chains, draws, ...), or a dict of them by name.
            Each place behind the first two axes is a quantity. Leave out the burn-in.
        rhat: A float above 1. Defaults to `1.01`.
        ess: A float >= 0, for each chain. Defaults to `100`.

    Returns:
        A `Convergence`.

    Raises:
        ImportError: If ArviZ is not installed.
        ValueError: If `draws` has fewer than two chains or four draws, arrays of
            different numbers of chains or draws, or a number that is not finite; or
            if another argument is out of its range.

    Reference:
        [Vehtari et al. 2021](https://doi.org/10.1214/20-BA1221), "Rank-normalization,
        folding, and localization: an improved R-hat for assessing convergence of MCMC".
    """
    check_number("rhat", rhat)
    require(rhat > 1, "rhat", rhat, "above 1")
    check_number("ess", ess)
    library = arviz()
    by_name = arrays.checked(draws)
    chains, count = next(iter(by_name.values())).shape[:2]
    data = to_arviz(by_name)
    with np.errstate(divide="ignore", invalid="ignore"):  # quantities that stand still
        figures = {
            "rhat": library.rhat(data),
            "bulk_ess": library.ess(data, method="bulk"),
            "tail_ess": library.ess(data, method="tail"),
            "mcse": library.mcse(data, method="mean"),
        }
    figures = {
        figure: {name: of[name].to_numpy() for name in by_name}
        for figure, of in figures.items()
    }
    worst = {"rhat": np.inf, "bulk_ess": 0.0, "tail_ess": 0.0}
    for figure, value in worst.items():
        for name, array in by_name.items():
            found = np.where(
                np.isnan(figures[figure][name]), value, figures[figure][name]
            )
            figures[figure][name] = np.where(arrays.is_constant(array), np.nan, found)
    reasons = _reasons(by_name, figures, rhat, ess * chains, chains * count)
    return Convergence(**figures, chains=chains, draws=count, reasons=tuple(reasons))


def _reasons(draws, figures, rhat, ess, total):
    if all(arrays.is_constant(array).all() for array in draws.values()):
        yield "nothing moves in any chain"
        return
    largest, where = _extreme(figures["rhat"], np.nanargmax)
    if not largest <= rhat:
        yield f"largest R-hat {largest:.3f} ({where}), above {rhat}"
    for part in ("bulk", "tail"):
        smallest, where = _extreme(figures[f"{part}_ess"], np.nanargmin)
        if not smallest >= ess:
            yield (
                f"smallest {part} ESS {smallest:,.0f} of {total:,} ({where}), "
                f"below {ess:,.0f}"
            )
    for chain, where in _still(draws):
        yield f"chain {chain} stands still ({where})"
    together = dependence.moving_together(draws)
    if together:
        one, other, correlation = together
        yield (
            f"chains {one} and {other} move together (correlation "
            f"{correlation:.2f}): they share their noise, or a trend"
        )


def _still(draws):
    """Each chain that stands still in a quantity in which not all is the same."""
    found = {}
    for name, array in draws.items():
        same = arrays.is_constant(array)
        for chain, values in enumerate(array):
            still = (values == values[:1]).all(axis=0) & ~same
            if still.any() and chain not in found:
                place = np.argwhere(still)[0].tolist()
                found[chain] = arrays.label(name, place)
    return sorted(found.items())


def _extreme(figures, choose):
    """The number that `choose` chooses of all, and the name of its quantity."""
    best = []
    for name, values in figures.items():
        if not np.isnan(values).all():
            place = np.unravel_index(choose(values), values.shape)
            quantity = arrays.label(name, [int(each) for each in place])
            best.append((values[place], quantity))
    return best[choose([value for value, _ in best])]
