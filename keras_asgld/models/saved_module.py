"""What a TensorFlow SavedModel offers to a layer: function, variables, losses."""

import inspect
import os
from pathlib import Path

from keras_asgld.models import module_inputs, private_folder
from keras_asgld.models.module_archive import unpacked

# A thousand million weights; no module of pictures or text is nearly as large.
MAX_UNPACKED_BYTES = 2**32

_FIX = "pip install tensorflow-hub tf-keras 'setuptools<81'"


class SavedModule:
    """A loaded SavedModel, behind one interface whatever its form.

    Attributes:
        trainable_variables, other_variables: Lists of the module's own `tf.Variable`s.
        regularization_losses: Functions without arguments that return a scalar each.
        takes_training: Whether the function has an argument `training`.
        input_shapes: A dict of the tensors that the function takes, by name, to their
            shapes: tuples with None where any length will do, or None where any rank
            will. Empty where it takes anything else.
    """

    def __init__(self, handle, signature=None, max_unpacked_bytes=MAX_UNPACKED_BYTES):
        path = _resolve(handle, max_unpacked_bytes)
        if (path / "tfhub_module.pb").exists():
            raise ValueError(
                "`handle` must be a TF2 SavedModel; this one is in TensorFlow 1's Hub "
                f"format, whose graph cannot be fine-tuned. Received: handle={handle!r}"
            )
        self._loaded = _load(path, handle)
        if hasattr(self._loaded, "prune"):
            raise ValueError(
                "`handle` must be a TF2 SavedModel; this one is in TensorFlow 1's "
                "graph format, as an Estimator's export is, without functions that can "
                f"be trained. Received: handle={handle!r}"
            )
        self.function, self._signature = _function(self._loaded, signature, handle)
        self.takes_training = "training" in self._argument_names()
        self.trainable_variables, self.other_variables = self._variables()
        self.input_shapes = module_inputs.common_shapes(self._inputs())
        losses = getattr(self._loaded, "regularization_losses", None)
        self.regularization_losses = list(losses or ())

    def __call__(self, inputs, **arguments):
        if not self._signature:
            return self.function(inputs, **arguments)
        # A signature takes its tensors by name, and returns them by name.
        outputs = self.function(**self._by_name(inputs))
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def _by_name(self, inputs):
        if isinstance(inputs, dict):
            return inputs
        names = list(self.function.structured_input_signature[1])
        if len(names) != 1:
            raise ValueError(
                f"The signature takes a dictionary of {', '.join(sorted(names))}. "
                f"Received: inputs of type {type(inputs).__name__}"
            )
        return {names[0]: inputs}

    def _argument_names(self):
        if self._signature:
            return ()
        return inspect.signature(self.function).parameters

    def _graphs(self):
        # A signature is one graph; a function has one for each kind of call.
        return getattr(self.function, "concrete_functions", [self.function])

    def takes(self, inputs):
        """Whether a graph of the module is for tensors of these shapes and dtypes."""
        inputs = self._by_name(inputs) if self._signature else inputs
        return any(module_inputs.fit(inputs, each) for each in self._inputs())

    def describe_inputs(self):
        """What the module's graphs take, in words."""
        return " or ".join(dict.fromkeys(map(module_inputs.describe, self._inputs())))

    def _inputs(self):
        """What each graph takes, as TensorFlow describes it."""
        for graph in self._graphs():
            positional, named = graph.structured_input_signature
            yield named if self._signature else positional[0] if positional else None

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


def _once(variables):
    return list({id(v): v for v in variables}.values())


def _resolve(handle, max_unpacked_bytes):
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
            with private_folder.instead_of_the_shared_one():
                return Path(tensorflow_hub.resolve(handle))
        except Exception as error:  # each kind of address has errors of its own
            raise ValueError(
                f"`handle` cannot be fetched: {' '.join(str(error).split())}. "
                f"Received: handle={handle!r}"
            ) from error
    path = Path(handle)
    if path.is_file():
        path = unpacked(path, max_unpacked_bytes)
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
    except Exception as error:  # damage shows as KeyError, IndexError, OpError, …
        raise ValueError(
            f"`handle` is no sound SavedModel: {' '.join(str(error).split())}. "
            f"Received: handle={handle!r}"
        ) from error


def _let_optimizers_be_forgotten():
    """Lets TensorFlow load what Keras 2 saved together with its optimizer.

    Without Keras 2 such a SavedModel does not load, since no class is known that could
    hold the optimizer's slots. This one holds them; they are not used.
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
