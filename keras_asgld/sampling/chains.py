"""Chains: several runs of one compiled model from one call of `fit`."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np

from keras_asgld import lock
from keras_asgld.callbacks import WeightEnsemble
from keras_asgld.callbacks.averaging import probabilities_by_loss
from keras_asgld.callbacks.weight_ensemble import Activation, Prediction, Unit
from keras_asgld.checks import (
    check_boolean,
    check_choice,
    check_integer,
    check_named_directory,
    require,
    writing,
)
from keras_asgld.sampling import beginning, identity, length, record
from keras_asgld.sampling import together as stacked

InitialWeights = Literal["new", "model"]
INITIAL_WEIGHTS = get_args(InitialWeights)
Callbacks = Sequence[keras.callbacks.Callback] | None


class Chains:
    """Trains one compiled model several times and keeps samples of each run.

    Chains that began in different places, with noise of their own, show by their
    agreement whether they have converged: see `keras_asgld.diagnostics`.

    ```python
    import keras
    from keras_asgld import SGLD, Chains

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(SGLD(0.05, temperature=1 / 32), "mse")
    x, y = keras.ops.ones((32, 4)), keras.ops.ones((32, 1))
    chains = Chains(model, 2, "chains", burn_in=1)
    histories = chains.fit(x, y, epochs=4, verbose=0)
    mean, spread = chains.predict(x)  # over the members of all chains
    assert chains.draws(x).shape == (2, 3, 32, 1)  # chains, members, examples, outputs
    assert len(histories[0]["loss"]) == 4
    ```

    The chains run one after the other. Chain i is the run of seed `seed + i`: what a
    program does that calls `keras.utils.set_random_seed(seed + i)`, makes the model,
    compiles it with an optimizer of that seed, evaluates it on a batch (for which
    Keras may draw an order of the examples), and sets the random seed once more before
    `fit`. So weights, noise, dropout and the order of the examples differ from chain to
    chain. Seeds of the layers' own, and of their initializers, are left out. Optimizers
    without noise do as well: that is a deep ensemble.

    With `together=True`, on JAX, all make each step at once: one program over their
    stacked states (`jax.vmap`), spread over the devices where the chains can be shared
    out evenly. Each is still the run of its seed, up to the rounding of stacked matrix
    products. That saves the start of a program a step and compiling once a chain;
    on a GPU small networks fill it better; on a CPU it gains where a step is short.
    Memory is that of all chains. `fit` then takes arrays, `batch_size`, `shuffle` and
    `validation_data`, and no callbacks.

    The members of chain i are in `directory/chain-i`, as `WeightEnsemble` keeps them,
    and beside them `chain.json` once it is finished. When a process was killed, the
    same program goes on: finished chains are not run again, and one that is not
    begins anew, which gives the members of an uninterrupted run wherever a run can
    be repeated (on a GPU, TensorFlow needs
    `tf.config.experimental.enable_op_determinism()`). Finished chains of another
    network, loss, optimizer or data are refused, and of other arguments of `fit` that
    change a chain. Arrays are known by their checksums, a `tf.data` set by what it says
    of its elements, other data by their type and length, and functions by their names.

    Args:
        model: A compiled model, sequential or functional, whose optimizer has made no
            step. It is used for all chains and left as it was.
        chains: An integer >= 1, how many.
        directory: A path. Made by `fit`.
        seed: An integer >= 0, that of the first chain. Defaults to `0`.
        initial_weights: `"new"`, weights drawn by the layers' initializers for each
            chain; or `"model"`, those of the model, for all. Only chains that begin
            apart can show that they have converged. Defaults to `"new"`.
        frequency, unit, burn_in, activation: As in `WeightEnsemble`.
        max_members: As in `WeightEnsemble`, for each chain. Defaults to `1000`.
        together: Whether the chains make each step at once; for JAX alone, with Keras
            3.12 or newer. Defaults to `False`.

    Attributes:
        ensembles: A list of the `WeightEnsemble` of each chain.

    Raises:
        ValueError: If an argument is out of its range, or `model` is not compiled,
            cannot be made anew from its configuration, has been trained with its
            optimizer, or has a loss that is a function and `activation` is not given;
            if `together` is true with another backend than JAX or an older Keras.
    """

    def __init__(
        self,
        model: keras.Model,
        chains: int,
        directory: str | os.PathLike[str],
        seed: int = 0,
        initial_weights: InitialWeights = "new",
        frequency: int = 1,
        unit: Unit = "epoch",
        burn_in: int = 0,
        max_members: int = 1000,
        activation: Activation = None,
        together: bool = False,
    ) -> None:
        check_integer("chains", chains, 1)
        check_named_directory("directory", directory)
        check_integer("seed", seed, 0)
        check_choice("initial_weights", initial_weights, INITIAL_WEIGHTS)
        check_boolean("together", together)
        if together:
            stacked.check_backend()
        beginning.check(model)
        if activation is None:
            # Said now, and not when the chains have run for hours.
            probabilities_by_loss(model.loss)
        self.model, self.seed, self.initial_weights = model, int(seed), initial_weights
        self.directory, self.together = Path(directory), together
        self.ensembles = [
            WeightEnsemble(
                self.directory / f"chain-{chain}",
                frequency,
                unit,
                burn_in,
                max_members,
                activation,
            )
            for chain in range(int(chains))
        ]
        for ensemble in self.ensembles:
            ensemble.set_model(model)

    def __len__(self) -> int:
        return len(self.ensembles)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        epochs: int = 1,
        callbacks: Callbacks | Callable[[int], Callbacks] = None,
        verbose: str | int = "auto",
        **others: Any,
    ) -> list[dict[str, Any]]:
        """Runs the chains that are not finished.

        Args:
            x, y: As in `model.fit`, if they can be iterated over more than once.
            epochs, verbose: As in `model.fit`.
            callbacks: A list that all chains share, or a function from the number of
                a chain, from 0, to the list of its own.
            **others: What `model.fit` takes besides: `batch_size`,
                `validation_data`, …

        Returns:
            A list of the chains' histories, dicts such as `history` of what
            `model.fit` returns.

        Raises:
            ValueError: If a chain is finished with other settings, another model or
                loss, or other data, or `directory` lacks members of one; if the chains
                will end before the first member, as far as that is known; if an
                argument is none that chains take together, or a generator.
            OSError: If a member cannot be written, or another process is at it
                (`BlockingIOError`).
        """
        check_integer("epochs", epochs, 1)
        beginning.check(self.model)
        if self.together:
            stacked.check_arguments(x, y, callbacks, others)
        _check_repeatable("x", x)
        _check_repeatable("validation_data", others.get("validation_data"))
        length.check(self.model, self.ensembles[0], x, epochs, others)
        with contextlib.ExitStack() as stack:
            with writing("directory", self.directory):
                self.directory.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock.held(self.directory))
            return self._fit(x, y, epochs, callbacks, verbose, others)

    def _fit(self, x, y, epochs, callbacks, verbose, others):
        start = beginning.Beginning(self.model)
        settings = self._settings(start, x, y, epochs, others)
        # Refused at once, and not when the chains before have run for hours.
        found = [self._finished(chain, settings) for chain in range(len(self))]
        try:
            if None in found:
                self._warm_up(x, y, others)
            run = self._together if self.together else self._in_turn
            return run(found, settings, start, x, y, epochs, callbacks, verbose, others)
        finally:
            start.restore()

    def _in_turn(
        self, found, settings, start, x, y, epochs, callbacks, verbose, others
    ):
        histories = []
        for chain, history in enumerate(found):
            if verbose:
                done = "" if history is None else ": finished before"
                print(f"Chain {chain + 1}/{len(self)}{done}")
            if history is None:
                own = callbacks(chain) if callable(callbacks) else callbacks
                self._begin(chain, start)
                fitted = self.model.fit(
                    x,
                    y,
                    epochs=epochs,
                    verbose=verbose,
                    callbacks=[self.ensembles[chain], *(own or ())],
                    **others,
                )
                history = self._finish(chain, settings, fitted.history)
            histories.append(history)
        return histories

    def _together(self, found, settings, start, x, y, epochs, _, verbose, others):
        chains = [chain for chain, history in enumerate(found) if history is None]
        if verbose:
            print(f"{len(chains)} chains of {len(self)} together")
        if not chains:
            return found
        begins = [functools.partial(self._begin, chain, start) for chain in chains]
        stack = stacked.Stack(self.model, begins)
        ensembles = [self.ensembles[chain] for chain in chains]
        try:
            histories = stack.fit(x, y, ensembles, epochs, verbose, **others)
        finally:
            for ensemble in ensembles:
                ensemble.set_model(self.model)
        for chain, history in zip(chains, histories, strict=True):
            found[chain] = self._finish(chain, settings, history)
        return found

    def _finish(self, chain, settings, history):
        history = record.plain(history)
        folder = self.ensembles[chain].members.folder
        record.write(folder, self._of_chain(chain, settings), history)
        return history

    def predict(self, x: Any, batch_size: int | None = None) -> Prediction:
        """The mean of all members' probabilities and their spread, over all chains.

        Members predict one after the other; only sums over each chain are kept.

        Args:
            x, batch_size: As in `WeightEnsemble.predict`.

        Returns:
            A `Prediction`: `mean` and `spread`, float64 arrays of the shape of the
            model's output.

        Raises:
            ValueError: If a chain is not finished or has no members, or `x` is an
                array of no examples.
        """
        self._check_finished()
        parts = [ensemble.predict(x, batch_size) for ensemble in self.ensembles]
        counts = [len(ensemble) for ensemble in self.ensembles]
        mean = np.average([part.mean for part in parts], axis=0, weights=counts)
        square = np.average(
            [part.spread**2 + (part.mean - mean) ** 2 for part in parts],
            axis=0,
            weights=counts,
        )
        return Prediction(mean, np.sqrt(square))

    def draws(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """Each member's probabilities, for `keras_asgld.diagnostics`.

        Some hundred examples are enough to judge by; all are in memory.

        Args:
            x, batch_size: As in `WeightEnsemble.predict`.

        Returns:
            A float array of shape (chains, members, examples, outputs).

        Raises:
            ValueError: As in `predict`, or if the chains have not as many members
                each.
        """
        self._check_finished()
        counts = [len(ensemble) for ensemble in self.ensembles]
        if len(set(counts)) > 1:
            raise ValueError(
                "`directory` must hold as many members of each chain. Received: "
                f"directory={str(self.directory)!r} of {counts} members"
            )
        return np.stack([each.draws(x, batch_size) for each in self.ensembles])

    def _warm_up(self, x, y, others):
        # The first time that Keras sees a model's data it takes a batch to build the
        # loss, and so draws an order of the examples, which would be missing in the
        # chains that come later.
        known = {"batch_size", "sample_weight"} & others.keys()
        arguments = {name: others[name] for name in known}
        self.model.evaluate(x, y, steps=1, verbose=0, **arguments)

    def _begin(self, chain, start):
        start.begin(self.seed + chain, self.initial_weights == "new")
        # What an unfinished run has left.
        self.ensembles[chain].members.cut(0)

    def _settings(self, start, x, y, epochs, others):
        ensemble = self.ensembles[0]
        weights = "new" if self.initial_weights == "new" else start.digest()
        return record.plain(
            {
                "initial_weights": weights,
                "epochs": epochs,
                "batch_size": others.get("batch_size"),
                "frequency": ensemble.frequency,
                "unit": ensemble.unit,
                "burn_in": ensemble.burn_in,
                "max_members": ensemble.max_members,
                **record.of_optimizer(self.model.optimizer),
                "model": identity.of_model(self.model),
                "loss": identity.of_loss(self.model.loss),
                "x": identity.of_data(x),
                "y": identity.of_data(y),
                "sample_weight": identity.of_data(others.get("sample_weight")),
                **identity.of_training(self.model, others),
            }
        )

    def _of_chain(self, chain, settings):
        return {"seed": self.seed + chain, **settings}

    def _finished(self, chain, settings):
        """The history of a chain that is finished, or `None`."""
        members = self.ensembles[chain].members
        found = record.read(members.folder)
        if found is None:
            return None
        wanted = self._of_chain(chain, settings)
        record.check(members.folder, found["settings"], wanted)
        members.check_files()
        for step in members.steps()[-1:]:
            members.read(step, self.model)
        return found["history"]

    def _check_finished(self):
        absent = [
            str(chain)
            for chain, ensemble in enumerate(self.ensembles)
            if record.read(ensemble.members.folder) is None
        ]
        if absent:
            raise ValueError(
                "`directory` must hold chains that are finished: call `fit`. Received: "
                f"directory={str(self.directory)!r} without chain {', '.join(absent)}"
            )


def _check_repeatable(name, value):
    """Raises `ValueError` for what the first chain would use up."""
    require(
        not isinstance(value, Iterator),
        name,
        value,
        "iterable once a chain, as arrays and data sets are and a generator is not",
    )
