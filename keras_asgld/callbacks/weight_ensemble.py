"""WeightEnsemble: keeps weight samples of a run, and predicts with all of them."""

import contextlib
import os
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import keras
import numpy as np

from keras_asgld.callbacks.averaging import averaged, probabilities_by_loss
from keras_asgld.callbacks.cycles import Cycles
from keras_asgld.callbacks.example_count import ExampleCount
from keras_asgld.callbacks.members import Members
from keras_asgld.callbacks.origin import origin
from keras_asgld.callbacks.steps import steps_made
from keras_asgld.checks import (
    check_choice,
    check_integer,
    check_named_directory,
    require,
)

Unit = Literal["epoch", "step", "cycle"]
Activation = str | Callable[..., Any] | None
UNITS = get_args(Unit)


class Prediction(NamedTuple):
    """Mean and standard deviation over the members (divided by n), NumPy arrays."""

    mean: np.ndarray
    spread: np.ndarray


class WeightEnsemble(ExampleCount):
    """Collects weights during training; the samples of a posterior, or of a valley.

    ```python
    import keras
    from keras_asgld import SGLD, WeightEnsemble

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(SGLD(0.05, temperature=1 / 32, seed=0), loss)
    ensemble = WeightEnsemble("members", burn_in=1)
    x, y = keras.ops.ones((32, 4)), keras.ops.ones((32,))
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[ensemble])
    mean, spread = ensemble.predict(x)  # of the probabilities of two members
    assert mean.shape == spread.shape == (32, 3)
    ensemble.as_model().save("ensemble.keras")
    ```

    A member is all weights of the model, batch-norm statistics included. Each has its
    own file, a NumPy `.npz` of the arrays of `model.get_weights()`, and no more than
    one is in memory at a time. `directory/ensemble.json` lists them.

    A run that is continued, from a checkpoint that restores the optimizer
    (`BackupAndRestore`, a saved model), ends with the members of an uninterrupted
    one, if this callback stands before the one that saves the state in `callbacks`.
    When the first epoch begins, the members of steps that the optimizer has yet to make
    are dropped, with a warning if that is all of them. There is another warning if a
    run is continued without its latest members, because the directory was lost or the
    model was trained without this callback; a `burn_in` that covers what went before
    avoids it.

    Weights that are not finite make no member; a warning, once a run, names the step.

    Give every run a directory of its own: members of another run are refused. A run
    that begins is known by its weights and noise, so that one without seeds cannot
    begin again in its directory; one that goes on by its noise, which other optimizers
    than this package's do not have. To use an ensemble in another process, make it with
    the same directory and call `ensemble.set_model(model)`.

    With a sampler that was made with `examples`, there is a warning, once for an
    optimizer, if an epoch has other than that many, by more than 1 %: an epoch as Keras
    counts it, so `steps_per_epoch` too can be the reason.

    Args:
        directory: A path. Made when the first member is stored.
        frequency: An integer >= 1. One member every so many units. Defaults to `1`.
        unit: `"epoch"`; `"step"` (a training step, a batch); or `"cycle"`, a cycle of
            the learning rate, whose last step is the one before the rate rises again
            (a warm-up, during which it rises all the time, has none). Defaults to
            `"epoch"`. With `steps_per_execution` above one, what is due within an
            execution is stored at its end.
        burn_in: An integer >= 0, how many units are left out: the first member is
            stored after unit `burn_in + frequency`. Epochs are counted as in `fit`
            (from `initial_epoch`), steps by the optimizer, cycles from step 0.
            There is a warning when `fit` begins if it will end before. Defaults to `0`.
        max_members: An integer >= 1. When there are more, the oldest is dropped, so
            that the last `max_members` stay. Defaults to `20`.
        activation: What turns the model's outputs into probabilities: an identifier
            that `keras.activations.get` takes, such as `"softmax"`, or `"linear"` for
            outputs that are averaged as they are. With `None` (the default) the
            loss that the model was compiled with decides: softmax or sigmoid where it
            is a cross-entropy with `from_logits=True`, otherwise no function.

    Raises:
        ValueError: If an argument is out of its range; in `fit`, if `unit="cycle"` and
            the learning rate is no schedule, or `directory` holds members of another
            run or of other shapes than the model's, lacks one that it lists, or has
            lost its list.
        OSError: In `fit`, if a member cannot be written. The members before it stay.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        frequency: int = 1,
        unit: Unit = "epoch",
        burn_in: int = 0,
        max_members: int = 20,
        activation: Activation = None,
    ) -> None:
        super().__init__()
        check_named_directory("directory", directory)
        check_integer("frequency", frequency, 1)
        check_integer("burn_in", burn_in, 0)
        check_integer("max_members", max_members, 1)
        check_choice("unit", unit, UNITS)
        self.frequency, self.burn_in = int(frequency), int(burn_in)
        self.unit, self.max_members = unit, int(max_members)
        self.activation = _activation(activation)
        self.members = Members(directory)

    def __len__(self) -> int:
        return len(self.members.steps())

    def set_model(self, model: keras.Model) -> None:
        """Makes the model known whose weights the members are; `fit` does, too.

        Raises:
            ValueError: If it is no Keras model.
        """
        # One of several chains that make each step at once has no model of its own.
        good = hasattr(model, "get_weights") and hasattr(model, "predict")
        require(good, "model", model, "a Keras model")
        super().set_model(model)

    def on_train_begin(self, logs=None):
        if self.model.built and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        if self.unit == "cycle":
            self._ends = Cycles(self.model)
        self._execution = self.model.steps_per_execution
        self._begun = self._warned = False

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        # Counted from here on: to read it at each step would wait for the device.
        self._step = steps_made(self.model)
        if not self._begun:  # callbacks that restore the state have done so by now
            self._begun = True
            found = len(self)
            self.members.begin(self._step, origin(self.model, self._step))
            if found and not len(self):
                warnings.warn(
                    f"`directory` held an ensemble of {found} members, all of steps "
                    f"after step {self._step}, with which this run begins. They were "
                    f"removed. Received: directory={str(self.members.folder)!r}",
                    stacklevel=2,
                )
            self.members.check_files()
            for step in self.members.steps()[-1:]:  # refused now and not after hours
                self.members.read(step, self.model)
            since, self._cycles = self.members.last()
            last = self._cycles
            if self.unit == "cycle":
                self._cycles += self._ends.until(since + 1, self._step)
            done = {"epoch": epoch, "step": self._step, "cycle": self._cycles}
            self._warn_of_absent(last, done[self.unit])
            self._warn_of_none(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self._begin = batch

    def on_train_batch_end(self, batch, logs=None):
        due = 0
        made = batch + 1 - self._begin
        if made == 1 < self._execution:  # Keras 3.10 names an execution's first step
            made = steps_made(self.model) - self._step
        for _ in range(made):
            self._step += 1
            count = 0
            if self.unit == "step":
                count = self._step
            elif self.unit == "cycle" and self._ends.end_at(self._step):
                self._cycles = count = self._cycles + 1
            if self._is_due(count):
                due = count
        if due:
            self._store(due)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.unit == "epoch" and self._is_due(epoch + 1):
            self._store(epoch + 1)

    def predict(self, x: Any, batch_size: int | None = None) -> Prediction:
        """The mean of the members' probabilities and their spread.

        The members predict one after the other; only sums are kept.

        Args:
            x: What `model.predict` takes, if it can be iterated over more than once.
            batch_size: As in `model.predict`.

        Returns:
            A `Prediction`: `mean` and `spread`, float64 arrays of the shape of the
            model's output.

        Raises:
            ValueError: If there are no members, no model is known, or `x` is an array
                of no examples.
        """
        mean: Any = 0.0
        square: Any = 0.0
        with contextlib.closing(self._outputs(x, batch_size)) as each:
            for count, outputs in enumerate(each, 1):
                change = outputs.astype("float64") - mean
                mean = mean + change / count
                square = square + change * (outputs - mean)
        return Prediction(mean, np.sqrt(square / count))

    def draws(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """Each member's probabilities, in the order in which members were taken.

        Args:
            x, batch_size: As in `predict`.

        Returns:
            A float array of shape (members, examples, outputs). All is in memory.

        Raises:
            ValueError: As in `predict`.
        """
        with contextlib.closing(self._outputs(x, batch_size)) as each:
            return np.stack(list(each))

    def as_model(self) -> keras.Model:
        """One Keras model that holds all members and gives their mean probability.

        It saves (`.keras`), loads, exports and serves as any other; its size is that
        of all members. The members' spread is `predict`'s alone.

        Raises:
            ValueError: If there are no members, no model is known, or it cannot be made
                anew from its configuration.
        """
        activation = self._activation()
        with self._every_member() as members:
            return averaged(members, activation)

    def _outputs(self, x, batch_size):
        """Yields the probabilities of each member in turn; close it in the end."""
        if 0 in getattr(x, "shape", ())[:1]:
            raise ValueError(
                "`x` must hold at least one example. "
                f"Received: x of shape {tuple(x.shape)}"
            )
        activation = self._activation()
        with self._every_member() as members:
            for model in members:
                outputs = model.predict(x, batch_size=batch_size, verbose=0)
                if not isinstance(outputs, np.ndarray):
                    raise ValueError(
                        "`model` must have one output. "
                        f"Received: model of outputs {sorted(model.output_names)}"
                    )
                # A mixed-precision model may put out half precision.
                outputs = keras.ops.convert_to_tensor(outputs, keras.config.floatx())
                yield keras.ops.convert_to_numpy(activation(outputs))

    def _activation(self):
        self._check()
        return self.activation or probabilities_by_loss(self.model.loss)

    @contextlib.contextmanager
    def _every_member(self):
        """The model with the weights of each member in turn; its own are put back."""
        self._check()
        model = self.model
        own = model.get_weights()

        def members():
            for step in self.members.steps():
                self.members.load(step, model)
                yield model

        try:
            yield members()
        finally:
            model.set_weights(own)

    def _check(self):
        if self._model is None:
            raise ValueError(
                "`WeightEnsemble` knows no model: train with it, or call "
                "`set_model(model)`. Received: model=None"
            )
        if not len(self):
            raise ValueError(
                "`directory` must hold members; none is stored before unit `burn_in` + "
                f"`frequency`. Received: directory={str(self.members.folder)!r}, "
                f"burn_in={self.burn_in}, frequency={self.frequency}"
            )

    def _warn_of_absent(self, last, done):
        """Warns unless the members due after unit `done` go on from number `last`."""
        newest = done - max(done - self.burn_in, 0) % self.frequency
        if newest > max(last, self.burn_in):
            warnings.warn(
                f"This run begins after {self.unit} {done}. `directory` lacks what it "
                f"should hold by then, a member after {self.unit} {newest}; the "
                "ensemble goes on without. Received: "
                f"directory={str(self.members.folder)!r} of {len(self)} members, "
                f"frequency={self.frequency}, burn_in={self.burn_in}",
                stacklevel=3,
            )

    def _warn_of_none(self, epoch):
        """Warns if the run ends before its first member, where that is known."""
        parameters = self.params or {}
        epochs, steps = parameters.get("epochs"), parameters.get("steps")
        first = self.burn_in + self.frequency
        last = epochs
        if self.unit != "epoch":
            last = steps and self._step + (epochs - epoch) * steps
        if len(self) or not last:
            return
        if self.unit == "cycle":
            most = max(first - self._cycles, 0)
            last = self._cycles + self._ends.until(self._step + 1, last, most)
        if last < first:
            warnings.warn(
                "No member will be stored unless a later `fit` goes on: the first is "
                f"due after {self.unit} {first}, and this one ends after {self.unit} "
                f"{last}. Received: burn_in={self.burn_in}, "
                f"frequency={self.frequency}, epochs={epochs}",
                stacklevel=3,
            )

    def _is_due(self, count):
        count -= self.burn_in
        return count > 0 and count % self.frequency == 0

    def _store(self, count):
        stored = self.members.add(self._step, count, self.model, self.max_members)
        if not stored and not self._warned:
            self._warned = True
            warnings.warn(
                f"The weights after step {self._step} are not finite and are not "
                "stored, nor are later ones like them: the run may have diverged. "
                f"Received: directory={str(self.members.folder)!r} of {len(self)} "
                "members",
                stacklevel=3,
            )


def _activation(value):
    """The function that an `activation` names, or `None`."""
    if value is None:
        return None
    function = None
    with contextlib.suppress(ValueError, TypeError):
        function = keras.activations.get(value)
    constraint = "a function, its name as `keras.activations` has it, or None"
    require(callable(function), "activation", value, constraint)
    return function
