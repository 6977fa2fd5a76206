"""NoiseMonitor: how large the noise of a run is, beside its gradient steps."""

import keras
import numpy as np

from keras_asgld.callbacks.example_count import ExampleCount
from keras_asgld.callbacks.probe import Probe
from keras_asgld.callbacks.steps import steps_made
from keras_asgld.checks import check_boolean, check_integer


class NoiseMonitor(ExampleCount):
    """Adds to the logs of each epoch what the noise of its steps really was.

    ```python
    import keras
    from keras_asgld import ASGLD, NoiseMonitor

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(ASGLD(0.05, seed=0), loss="mse")
    x, y = keras.ops.ones((32, 4)), keras.ops.ones((32, 1))
    history = model.fit(x, y, verbose=0, callbacks=[NoiseMonitor()])
    assert history.history["noise_norm"][0] >= 0
    ```

    The progress bar, `History`, `CSVLogger` and `TensorBoard` show these numbers as
    they show the loss. Put it before them in `callbacks`.

    - `noise_norm`: the norm of the random part of the step, which is ηψ√C z in
      `ASGLD`, √(2ηT) z in `SGLD`, √(2ηTG) z in `PSGLD`, √(2(1 − ρ)ηT) z in `SGHMC`,
      `SGNHT` and `BAOA`.
    - `gradient_norm`: the norm of the gradient's part, η g; in `PSGLD` ηG g. In
      `ScaleFreeASGLD` both parts are ASGLD's, divided by √v + ε.
    - `noise_to_gradient`: the first norm divided by the second.
    - `mean_share`, `variance_share`: `ASGLD`'s and `ScaleFreeASGLD`'s, the shares of µ
      and of √C z in the squared norm of ξ. They add to one; the inner product of the
      two is left out.
    - `temperature`: T in force; of `SGHMC` the kinetic one, the mean of
      (1 + ρ)v²/(2η), and likewise of `SGNHT` and `BAOA`; of `ASGLD` an equivalent, the
      mean of ηψ²C/(2(1 + ψ)).
    - `effective_learning_rate`: η; in `ASGLD` and `ScaleFreeASGLD` η(1 + ψ), in
      `SGHMC`, `SGNHT` and `BAOA` η/(1 − ρ).

    The noise is that of the very steps that moved the weights: it is drawn again, for
    it is a function of seed, variable and update, and scaled by the numbers that were
    in force. The norms are Euclidean, over all variables that a step moved. Variables
    that are excluded from noise have none, and do not count in the temperature. The
    gradient is the one that the rule saw: after clipping, accumulation and loss
    scaling, and without decoupled weight decay. It is recovered from the running
    averages. `SGLD` has none; there it is taken from the change of the variables, and
    so is only as exact as their format, not to be used in half precision, and holds
    what a constraint or an overwriting moving average (`ema_overwrite_frequency`) did.

    Of a sampler that was made with `examples` T is the one in its rule, the posterior's
    over their number, and the gradient holds the prior's pull. There is a warning, once
    for an optimizer, if an epoch has other than that many examples, by more than
    1 %: an epoch as Keras counts it, so `steps_per_epoch` too can be the reason.

    SGHMC's kinetic temperature is T in equilibrium with exact gradients and a small
    step. Above it, minibatch noise heats the momentum or the run still descends.

    With `steps_per_execution` above one the state between the updates is not seen:
    `gradient_norm` and `noise_to_gradient` are left out, the others are measured at the
    last update of an execution, with the numbers in force when it began. With gradient
    accumulation the measured step is the one that makes the update. A step that
    `LossScaleOptimizer` skips is not counted. An epoch without a measured update has
    no numbers; Keras's `CSVLogger`, which takes its columns from the first epoch, then
    has none of them.

    Args:
        frequency: An integer >= 1. The last step of an epoch is measured and, counted
            back from it, every `frequency`-th step; an epoch's number is the mean of
            its measurements. Where Keras does not yet know the number of steps in an
            epoch, they are counted from its first. A measurement costs about two
            updates of the optimizer and, while it lasts, the memory for a copy of
            weights and slots; the first one compiles a program for each shape. In a
            small network it takes most of the time of a step
            (benchmarks/monitor_step.py): under 1 % where one step in a hundred is
            measured, and 3 % in an epoch of 23 steps. Defaults to `100`.
        per_layer: A boolean. Whether to log all of them but the effective learning
            rate for each layer too, as `noise_norm/LAYER`. Defaults to `False`.

    Raises:
        ValueError: If an argument is out of its range or, in `fit`, if the model's
            optimizer is none of this package (in a `LossScaleOptimizer` or not).
    """

    def __init__(self, frequency: int = 100, per_layer: bool = False) -> None:
        super().__init__()
        check_integer("frequency", frequency, 1)
        self.frequency = int(frequency)
        check_boolean("per_layer", per_layer)
        self.per_layer = per_layer
        self._probe = None

    def on_train_begin(self, logs=None):
        model = self.model
        if self._probe is None or not self._probe.measures(model.optimizer):
            self._probe = Probe(model.optimizer)
        if model.built and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._execution = model.steps_per_execution
        self._accumulation = self._probe.optimizer.gradient_accumulation_steps or 1
        self._steps = self.params.get("steps")

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._measurements = []
        self._batches = 0
        self._begin = None if self._steps else steps_made(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        self._before = None
        if not self._is_due(batch):
            return
        optimizer = self.model.optimizer  # on JAX, this brings the state up to date
        # Of the micro-steps that are due, one makes the update.
        if optimizer.built and self._probe.updates_next():
            self._before = self._probe.before()

    def on_train_batch_end(self, batch, logs=None):
        self._batches = batch + 1
        if self._before is not None:
            _ = self.model  # as above
            self._measurements.append(self._probe.after(self._before))
            self._before = None

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if not self._steps:
            # Keras 3.10 names the first step of an execution at its end.
            self._steps = max(self._batches, steps_made(self.model) - self._begin)
        if logs is not None and self._measurements:
            logs.update(self._numbers())
        self._measurements = []

    def _is_due(self, batch):
        """Whether one of the steps from `batch` on, run in one go, is to be measured.

        With accumulation, the steps of the window that ends with such a step.
        """
        place = batch
        if self._steps:
            last = min(batch + self._execution, self._steps) - 1
            place = self._steps - 1 - last
        return place % self.frequency < max(self._execution, self._accumulation)

    def _numbers(self):
        measured = [_as_numpy(each) for each in self._measurements]
        if self._execution == 1:  # a skipped step is no update
            measured = [each for each in measured if each["updates"] == 1]
        if not measured:
            return {}
        sums = np.stack([each["sums"] for each in measured])
        numbers = self._named(sums.sum(axis=1))
        rates = [each["rate"] for each in measured]
        numbers["effective_learning_rate"] = float(np.mean(rates))
        if self.per_layer:
            for layer, rows in self._rows_by_layer().items():
                part = self._named(sums[:, rows].sum(axis=1))
                numbers |= {f"{name}/{layer}": value for name, value in part.items()}
        return numbers

    def _rows_by_layer(self):
        layers = {}
        for row, path in enumerate(self._probe.paths):
            # The model's own name may hold a number that changes from run to run.
            path = path.removeprefix(f"{self.model.name}/")
            layers.setdefault(path.rpartition("/")[0] or path, []).append(row)
        return layers

    def _named(self, sums):
        """The numbers of some of the variables, as means over the measurements."""
        gradient, noise, mean, heat, size = sums.astype("float64").T
        numbers = {"noise_norm": float(np.sqrt(noise).mean())}
        if self._execution == 1:
            numbers["gradient_norm"] = norm = float(np.sqrt(gradient).mean())
            numbers["noise_to_gradient"] = _quotient(numbers["noise_norm"], norm)
        if self._probe.has_mean:
            share = np.mean(
                [_quotient(*p) for p in zip(mean, mean + noise, strict=True)]
            )
            numbers["mean_share"] = float(share)
            numbers["variance_share"] = 1.0 - float(share)
        temperatures = [_quotient(*pair) for pair in zip(heat, size, strict=True)]
        numbers["temperature"] = float(np.mean(temperatures))
        return numbers


def _quotient(part, whole):
    """0 divided by 0 is 0 here; noise divided by no gradient is infinite."""
    if part == 0:
        return 0.0
    return float(part / whole) if whole else float("inf")


def _as_numpy(measurement):
    return {k: keras.ops.convert_to_numpy(v) for k, v in measurement.items()}
