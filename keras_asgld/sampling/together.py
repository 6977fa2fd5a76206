"""Chains that make each step together: one program over stacked states, on JAX."""

import keras
import numpy as np

from keras_asgld import backend

# What `fit` takes; everything else belongs to chains that run one after the other.
ARGUMENTS = ("batch_size", "shuffle", "validation_data")


def check_backend():
    if backend.NAME != "jax":
        raise ValueError(
            "`together` must be False with any backend but JAX. Received: "
            f"together=True, KERAS_BACKEND={backend.NAME}"
        )
    # Before, a step of Keras on JAX pinned each array to where `fit` had found it.
    if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12):
        raise ValueError(
            "`together` must be False with Keras before 3.12. Received: "
            f"together=True, keras {keras.__version__}"
        )


def check_arguments(x, y, callbacks, others):
    """Raises `ValueError` for what chains that run together do not take."""
    if callbacks is not None:
        raise ValueError(
            "`callbacks` must be None where chains run together. "
            f"Received: callbacks={callbacks!r}"
        )
    unknown = sorted(others.keys() - set(ARGUMENTS))
    if unknown:
        raise ValueError(
            f"`{unknown[0]}` must be left out where chains run together, which take "
            f"{', '.join(ARGUMENTS)}. Received: {unknown[0]}={others[unknown[0]]!r}"
        )
    if others.get("shuffle", True) not in (True, False):
        raise ValueError(
            "`shuffle` must be True or False where chains run together. "
            f"Received: shuffle={others['shuffle']!r}"
        )
    for name, value in (("x", x), ("y", y)):
        if not _holds_arrays(value):
            raise ValueError(
                f"`{name}` must be an array, or arrays, where chains run together. "
                f"Received: {name} of type {type(value).__name__}"
            )
    judged = others.get("validation_data")
    if judged is not None and not (isinstance(judged, tuple) and _holds_arrays(judged)):
        raise ValueError(
            "`validation_data` must be a tuple of arrays where chains run together. "
            f"Received: validation_data of type {type(judged).__name__}"
        )


def _holds_arrays(value):
    leaves = keras.tree.flatten(value)
    return bool(leaves) and all(getattr(leaf, "shape", ()) for leaf in leaves)


class _Chain:
    """What `WeightEnsemble` asks a model for, of one chain among the stacked ones."""

    def __init__(self, stack, chain):
        self._stack, self._chain = stack, chain

    def __getattr__(self, name):
        return getattr(self._stack.model, name)

    def get_weights(self):
        return self._stack.weights(self._chain)


class Stack:
    """The states of several chains of one model, each array with a first axis of them.

    Args:
        model: A compiled model, as `beginning.check` wants it.
        begins: A function for each chain, which makes model and random numbers those
            that the chain begins with.
    """

    def __init__(self, model, begins):
        from keras_asgld.backend import side_by_side  # which only JAX can load

        self.model, self._count, self._jax = model, len(begins), side_by_side
        self._variables = [
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        ]
        states, self._orders = [], []
        for begin in begins:
            begin()
            states.append(
                [[v.value for v in variables] for variables in self._variables]
            )
            self._orders.append(np.random.get_state())
        model.reset_metrics()
        self._variables.append(model.metrics_variables)
        self._metrics = [np.asarray(v.value) for v in model.metrics_variables]
        self._chains, self._whole = self._jax.places(self._count)
        self._state = self._stacked([[*state, self._metrics] for state in states])
        self._step = self._jax.program(model.train_step)

    def fit(
        self,
        x,
        y,
        ensembles,
        epochs,
        verbose,
        batch_size=None,
        shuffle=True,
        validation_data=None,
    ):
        """The chains' histories; `ensembles` keep their members."""
        data = keras.tree.map_structure(_array, (x, y))
        data = self._jax.placed(data, self._whole)
        size, batch = len(keras.tree.flatten(data)[0]), batch_size or 32
        histories = [{} for _ in range(self._count)]
        for chain, ensemble in enumerate(ensembles):
            ensemble.set_model(_Chain(self, chain))
            ensemble.on_train_begin()
        bar = keras.utils.Progbar(epochs, verbose=int(bool(verbose)), unit_name="epoch")
        for epoch in range(epochs):
            self._restore(0)
            for ensemble in ensembles:
                ensemble.on_epoch_begin(epoch)
            # Anew, for a step takes the arrays that it is given.
            self._state[-1] = self._stacked([self._metrics] * self._count)
            orders = [self._order(chain, size, shuffle) for chain in range(self._count)]
            orders = self._jax.placed(np.stack(orders), self._chains)
            for number, first in enumerate(range(0, size, batch)):
                for ensemble in ensembles:
                    ensemble.on_train_batch_begin(number)
                indices = orders[:, first : first + batch]
                logs, state = self._step(tuple(self._state), data, indices)
                self._state = list(state)
                for ensemble in ensembles:
                    ensemble.on_train_batch_end(number)
            self._restore(0)
            for ensemble in ensembles:
                ensemble.on_epoch_end(epoch)
            self._log(histories, logs, batch, validation_data)
            means = _means(histories)
            bar.stateful_metrics = set(means)  # each epoch's own, no mean over epochs
            bar.update(epoch + 1, values=means.items())
        return histories

    def weights(self, chain):
        """As `model.get_weights()`, of one chain."""
        place = {
            id(variable): array
            for variables, arrays in zip(self._variables, self._state, strict=True)
            for variable, array in zip(variables, arrays, strict=True)
        }
        return [np.asarray(place[id(w)][chain]) for w in self.model.weights]

    def _stacked(self, states):
        return self._jax.stacked(states, self._chains)

    def _restore(self, chain):
        """Gives the model the state of one chain."""
        for variables, arrays in zip(self._variables, self._state, strict=True):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(np.asarray(array[chain]))

    def _order(self, chain, size, shuffle):
        """The examples of a chain's next epoch, as Keras's `fit` draws them."""
        if not shuffle:
            return np.arange(size)
        np.random.set_state(self._orders[chain])
        order = np.random.permutation(size)
        self._orders[chain] = np.random.get_state()
        return order

    def _log(self, histories, logs, batch, validation_data):
        for chain, history in enumerate(histories):
            found = {name: float(values[chain]) for name, values in logs.items()}
            if validation_data is not None:
                self._restore(chain)
                judged = self.model.evaluate(
                    *validation_data, batch_size=batch, verbose=0, return_dict=True
                )
                found |= {f"val_{name}": value for name, value in judged.items()}
            for name, value in found.items():
                history.setdefault(name, []).append(value)


def _array(value):
    """An array as Keras's `fit` takes it: floats are of the default kind."""
    value = keras.ops.convert_to_numpy(value)
    return value.astype(keras.config.floatx()) if value.dtype.kind == "f" else value


def _means(histories):
    """The last figures, averaged over the chains, for a progress bar."""
    return {
        name: np.mean([history[name][-1] for history in histories])
        for name in histories[0]
    }
