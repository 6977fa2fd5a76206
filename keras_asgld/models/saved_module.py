"""What a TensorFlow SavedModel offers to a layer: function, variables, losses."""

import inspect
import os
from pathlib import Path

from keras_asgld.models.module_archive import unpacked

_FIX = "pip install 'keras-asgld[hub]'"


class SavedModule:
    """A SavedModel, loaded, with its differences of form evened out.

    Attributes:
        trainable_variables, other_variables: Lists of the module's own `tf.Variable`s.
        regularization_losses: Functions of nothing that return a scalar each.
        takes_training: Whether the function has an argument `training`.
        input_shape: The shape of the one tensor that the function takes, a tuple with
            None where any length will do; None where it takes anything else.
    """

    def __init__(self, handle, signature=None):
        path = _resolve(handle)
        if (path / "tfhub_module.pb").exists():
            raise ValueError(
                "`handle` must be a TF2 SavedModel; this one is in TensorFlow 1's Hub "
                f"format, whose graph cannot be fine-tuned. Received: handle={handle!r}"
            )
        self._loaded = _load(path, handle)
        if hasattr(self._loaded, "prune"):
            raise ValueError(
                "`handle` must be a TF2 SavedModel; this one was saved by TensorFlow 1 "
                f"and cannot be fine-tuned. Received: handle={handle!r}"
            )
        self.function, self._signature = _function(self._loaded, signature, handle)
        self.takes_training = "training" in self._argument_names()
        self.trainable_variables, self.other_variables = self._variables()
        self.input_shape = _common(self._input_shapes())
        losses = getattr(self._loaded, "regularization_losses", None)
        self.regularization_losses = list(losses or ())

    def __call__(self, inputs, **arguments):
        if not self._signature:
            return self.function(inputs, **arguments)
        # A signature takes its tensors by name, and returns them by name.
        if not isinstance(inputs, dict):
            names = list(self.function.structured_input_signature[1])
            if len(names) != 1:
                raise ValueError(
                    f"The signature takes a dictionary of {', '.join(sorted(names))}. "
                    f"Received: inputs of type {type(inputs).__name__}"
                )
            inputs = {names[0]: inputs}
        outputs = self.function(**inputs)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def _argument_names(self):
        if self._signature:
            return ()
        return inspect.signature(self.function).parameters

    def _graphs(self):
        # A signature is one graph, a function one for every kind of call.
        return getattr(self.function, "concrete_functions", [self.function])

    def _input_shapes(self):
        """The shape of each graph's tensor, None for a graph that takes others."""
        for graph in self._graphs():
            positional, named = graph.structured_input_signature
            inputs = list(named.values()) if self._signature else positional[:1]
            shapes = [getattr(tensor, "shape", None) for tensor in inputs]
            known = len(shapes) == 1 and getattr(shapes[0], "rank", None) is not None
            yield tuple(shapes[0]) if known else None

    def _variables(self):
        """The variables the module declares, else those its function uses."""
        used = [variable for graph in self._graphs() for variable in graph.variables]
        declared = getattr(self._loaded, "variables", None) or ()
        trainable = getattr(self._loaded, "trainable_variables", None)
        every = _once([*declared, *used])
        if trainable is None:
            trainable = [v for v in every if v.trainable]
        trainable = _once(trainable)
        chosen = {id(v) for v in trainable}
        return trainable, [v for v in every if id(v) not in chosen]


def _common(shapes):
    """The shape that all fit, or None where they are not of one rank."""
    shapes = list(shapes)
    if None in shapes or len({len(shape) for shape in shapes}) != 1:
        return None
    axes = [set(lengths) for lengths in zip(*shapes, strict=True)]
    return tuple(axis.pop() if len(axis) == 1 else None for axis in axes)


def _once(variables):
    return list({id(v): v for v in variables}.values())


def _resolve(handle):
    """The folder that `handle` means; tensorflow_hub fetches what has an address."""
    if not isinstance(handle, (str, os.PathLike)) or not os.fspath(handle):
        raise ValueError(
            "`handle` must be the path of a SavedModel's folder or archive, or its "
            f"address. Received: handle={handle!r} (of type {type(handle).__name__})"
        )
    handle = os.fspath(handle)
    if "://" in handle:
        try:
            import tensorflow_hub
        except ImportError as error:
            raise ImportError(
                f"An address needs tensorflow_hub: {_FIX} ({error}). "
                f"Received: handle={handle!r}"
            ) from error
        try:
            return Path(tensorflow_hub.resolve(handle))
        except Exception as error:  # each kind of address has errors of its own
            raise ValueError(
                f"`handle` cannot be fetched: {error}. Received: handle={handle!r}"
            ) from error
    path = Path(handle)
    if path.is_file():
        path = unpacked(path)
    if not any((path / name).is_file() for name in _FILES):
        raise ValueError(
            "`handle` must be a folder or archive with a SavedModel (saved_model.pb). "
            f"Received: handle={handle!r}, which "
            + ("holds none" if path.is_dir() else "does not exist")
        )
    return path


_FILES = ("saved_model.pb", "saved_model.pbtxt", "tfhub_module.pb")


def _load(path, handle):
    import tensorflow as tf

    _let_optimizers_be_forgotten()
    try:
        return tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ValueError(
            f"`handle` is no sound SavedModel: {' '.join(str(error).split())}. "
            f"Received: handle={handle!r}"
        ) from error


def _let_optimizers_be_forgotten():
    """Lets TensorFlow load what Keras 2 saved together with its optimizer.

    Without Keras 2 such a SavedModel does not load: nothing takes the optimizer's
    slots. This takes them, and nobody looks at them again.
    """
    import tensorflow as tf

    registry = tf.__internal__.saved_model.load
    if "optimizer" in registry.registered_identifiers():
        return

    class Forgotten(tf.__internal__.tracking.AutoTrackable):
        def add_slot(self, var, slot_name):
            return tf.Variable(tf.zeros_like(var), trainable=False, name=slot_name)

    registry.register_revived_type(
        "optimizer",
        lambda thing: False,
        versions=[
            registry.VersionedTypeRegistration(
                object_factory=lambda proto: Forgotten(),
                version=1,
                min_producer_version=1,
                min_consumer_version=1,
            )
        ],
    )


def _function(loaded, signature, handle):
    """What the layer calls, and whether it is a signature."""
    signatures = dict(getattr(loaded, "signatures", None) or {})
    if signature is None and callable(loaded):
        return loaded.__call__, False
    if signature is None:
        # `serve` is Keras 3's own export, `serving_default` everybody's.
        names = [n for n in ("serving_default", "serve") if n in signatures]
        names = names or (list(signatures) if len(signatures) == 1 else [])
        signature = names[0] if names else None
    if signature not in signatures:
        known = ", ".join(sorted(signatures)) or "none"
        raise ValueError(
            "`signature` must name one of the module's signatures "
            f"({known}){'' if callable(loaded) else ', for it cannot be called'}. "
            f"Received: signature={signature!r}, handle={handle!r}"
        )
    return signatures[signature], True
