"""A Keras 3 layer around a TensorFlow Hub module or any SavedModel."""

import os
import re

import keras
from keras import ops, tree

from keras_asgld.checks import check_integer
from keras_asgld.models.module_inputs import describe
from keras_asgld.models.saved_module import MAX_UNPACKED_BYTES, SavedModule


@keras.saving.register_keras_serializable(package="keras_asgld")
class HubLayer(keras.layers.Layer):
    """Fine-tunes a TF2 Hub module, or another SavedModel, inside a Keras 3 model.

    Keras 3 refuses `tensorflow_hub.KerasLayer`, and a layer that just calls a loaded
    SavedModel never trains it. This one tracks the module's own variables, so that
    every Keras optimizer updates them, `.keras` and `.weights.h5` files hold them, and
    `tf.distribute` mirrors them.

    It takes the reusable SavedModel form (`__call__`, `variables`,
    `trainable_variables`, `regularization_losses`), SavedModels of Keras 2 and 3, and,
    through one of its signatures, a SavedModel that cannot be called.

    - A layer whose `trainable` is `False` runs in inference mode, as Keras's own batch
      normalisation does: neither weights nor statistics move. `trainable` may be
      changed at any time; compile again afterwards, as with every layer.
    - While it is trainable, the module's regularization losses are part of the loss.
    - A module has its own dtypes and cannot be made to compute in others. Inputs that
      are floats are cast to the policy's variable dtype, outputs to its compute dtype.
      So under `mixed_float16` the module works in float32 between layers in float16.
    - XLA refuses operations that published modules often hold, so a model with
      this layer is not compiled with it unless you set `layer.supports_jit = True`.
      Noisy updates are compiled all the same.
    - The variables' paths begin with the layer's name:
      `optimizer.exclude_from_noise(var_names=["NAME/"])` frees them of noise.
    - Under `MirroredStrategy` each replica's batch statistics are of its own share of
      the batch; a file holds those of the first.

    Args:
        handle: The path of a SavedModel's folder or archive (`module.tar.gz`), or its
            address (`https://….tar.gz`, `gs://…`), which `tensorflow_hub` fetches and
            caches (`pip install tensorflow-hub tf-keras 'setuptools<81'`, the extra
            `hub`). An archive is unpacked once, into the same cache: `TFHUB_CACHE_DIR`,
            or a folder of this user among the temporary ones. It is unpacked anew in
            each process where others than this user can write into that cache, or what
            they left there has its name.
        trainable: Boolean, whether the module is fine-tuned. Defaults to `False`.
        arguments: A dictionary of further keyword arguments for the module's call, as
            plain values. Defaults to none.
        signature: The name of the signature to call, `None` for the module's
            `__call__` or, where it has none, its serving signature. A signature has
            no training mode.
        max_unpacked_bytes: An integer >= 1, what an archive may take on the disk. A
            small file can hold very much. Defaults to `2**32`.
        name, dtype: As in every Keras layer.

    Input: what the module takes; for a signature of several tensors, a dictionary.

    Output: what the module returns; a signature's only tensor, or a dictionary.

    Raises:
        ValueError: If Keras runs on another backend than TensorFlow, the handle holds
            no SavedModel, one of TensorFlow 1's kind or an archive that is damaged or
            too large, the signature does not exist, or `trainable=True` and nothing can
            be trained; when it is called, if the input is of another shape than the
            module takes.
        ImportError: If the handle is an address and `tensorflow_hub` is missing.

    Loading a model file that holds this layer loads the SavedModel again, from
    `handle`, and then the weights of the file. A SavedModel is a program: as for
    Keras's `TFSMLayer`, `keras.models.load_model` must be told `safe_mode=False`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_asgld import ASGLD
    from keras_asgld.models import HubLayer

    trunk = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    trunk.export("module", verbose=False)  # or any folder or address of a module

    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(1)(HubLayer("module", trainable=True)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer=ASGLD(learning_rate=0.01, seed=0), loss="mse")
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    ```

    Reference:

    - [Reusable SavedModels](https://www.tensorflow.org/hub/reusable_saved_models)
    """

    def __init__(
        self,
        handle,
        trainable=False,
        arguments=None,
        signature=None,
        max_unpacked_bytes=MAX_UNPACKED_BYTES,
        **kwargs,
    ):
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "HubLayer needs Keras's TensorFlow backend. "
                f"Received: backend={keras.backend.backend()!r}"
            )
        if arguments is not None and not isinstance(arguments, dict):
            raise ValueError(
                "`arguments` must be a dictionary or None. "
                f"Received: arguments={arguments!r}"
            )
        check_integer("max_unpacked_bytes", max_unpacked_bytes, 1)
        # Keras's own cast of the inputs would be to the compute dtype.
        super().__init__(autocast=False, **kwargs)
        self.handle = os.fspath(handle) if isinstance(handle, os.PathLike) else handle
        self.arguments = dict(arguments or {})
        self.signature = signature
        self.supports_jit = False
        self.max_unpacked_bytes = int(max_unpacked_bytes)
        self._module = SavedModule(handle, signature, self.max_unpacked_bytes)
        if trainable and not self._module.trainable_variables:
            raise ValueError(
                "`trainable` must be False for a module without trainable variables. "
                f"Received: trainable={trainable!r}, handle={self.handle!r}"
            )
        shapes = self._module.input_shapes
        if any(shape is not None for shape in shapes.values()):
            # Otherwise TensorFlow refuses a wrong shape, in a message of a page.
            self.input_spec = [
                keras.layers.InputSpec(shape=shape, name=name)
                for name, shape in shapes.items()
            ]
        self._track_module()
        self.trainable = trainable
        self.built = True

    def call(self, inputs, training=False):
        arguments = dict(self.arguments)
        if self._module.takes_training:
            arguments.setdefault("training", bool(training and self.trainable))
        if self.trainable:
            for loss in self._module.regularization_losses:
                self.add_loss(ops.cast(loss(), "float32"))
        inputs = _cast(inputs, self.variable_dtype)
        try:
            outputs = self._module(inputs, **arguments)
        except Exception as error:  # TensorFlow raises several kinds
            if self._module.takes(inputs):
                raise
            raise ValueError(
                f"The input of layer {self.name!r} must be "
                f"{self._module.describe_inputs()}. Received: {describe(inputs)}"
            ) from error
        return _cast(outputs, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "handle": self.handle,
            "trainable": self.trainable,
            "arguments": self.arguments,
            "signature": self.signature,
            "max_unpacked_bytes": self.max_unpacked_bytes,
        }

    @classmethod
    def from_config(cls, config):
        # Keras has no public function that tells whether it loads in safe mode.
        from keras.src.saving.serialization_lib import in_safe_mode

        if in_safe_mode():
            raise ValueError(
                f"The file holds a HubLayer of {config.get('handle')!r}. A SavedModel "
                "is a program that loading would run; if you trust it, call "
                "`keras.models.load_model(..., safe_mode=False)`."
            )
        return super().from_config(config)

    def _track_module(self):
        # A `keras.Variable` that is given a `tf.Variable` of its own dtype holds that
        # very variable: what the optimizer assigns is what the module reads.
        taken = {}
        groups = self._module.trainable_variables, self._module.other_variables
        with keras.name_scope(self.name):
            for trainable, group in zip((True, False), groups, strict=True):
                for variable in group:
                    self._track_variable(
                        keras.Variable(
                            variable,
                            dtype=variable.dtype.name,
                            trainable=trainable,
                            autocast=False,
                            name=_clean(variable.name, taken),
                        )
                    )


def _cast(values, dtype):
    def cast(value):
        if not keras.backend.is_float_dtype(value.dtype):
            return value
        return ops.cast(value, dtype)

    return tree.map_structure(cast, values)


def _clean(name, taken):
    """`block/w:0` as a unique name that Keras and TensorFlow's name scopes take."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name.partition(":")[0])
    taken[name] = count = taken.get(name, 0) + 1
    return name if count == 1 else f"{name}_{count}"
