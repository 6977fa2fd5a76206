"""The members of an ensemble on disk: a weights file each, and a manifest."""

import json
from pathlib import Path

import numpy as np

from keras_asgld import atomic

MANIFEST = "ensemble.json"
FORMAT = 1


class Members:
    """A folder of weights files that the manifest lists, oldest first.

    A file counts only once the manifest names it, and leaves the manifest before it is
    deleted; the manifest is written whole. So a process killed at any moment leaves
    a sound ensemble.

    Args:
        folder: Where they are or will be.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def steps(self):
        """The training step of each member, rising.

        Raises:
            ValueError: If the manifest cannot be understood.
        """
        return [member["step"] for member in self._listed()]

    def last(self):
        """The last member's step and number, or zeros."""
        members = self._listed()
        return (members[-1]["step"], members[-1]["number"]) if members else (0, 0)

    def path(self, step):
        return self.folder / f"step-{step:09d}.npz"

    def add(self, step, number, model, at_most):
        """Store the model's weights; the oldest members beyond `at_most` are dropped.

        Args:
            step: The training step that made them.
            number: How many epochs, steps or cycles that is.
            model: A Keras model.
            at_most: An integer >= 1.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(self.path(step)) as partial:
            # Not `save_weights`, which writes the optimizer too. NumPy's files know
            # no bfloat16, whose values are float32's.
            weights = [
                w if w.dtype.isbuiltin == 1 else w.astype("float32")
                for w in model.get_weights()
            ]
            np.savez(partial, *weights)
        member = {"step": step, "number": number, "weights": self.path(step).name}
        earlier = [m for m in self._listed() if m["step"] < step]
        self._list([*earlier, member][-at_most:])

    def load(self, step, model):
        """Give the model the weights of the member of that step."""
        model.set_weights(self.read(step, model))

    def read(self, step, model):
        """The weights of the member of that step, a list of arrays as the model's.

        Raises:
            ValueError: If the member is another model's, or its file is gone.
        """
        try:
            with np.load(self.path(step)) as file:
                weights = [file[f"arr_{i}"] for i in range(len(file.files))]
        except FileNotFoundError:
            raise ValueError(
                "`directory` must hold the file of every member. "
                f"Received: directory={str(self.folder)!r} without "
                f"{self.path(step).name}"
            ) from None
        there = [value.shape for value in weights]
        wanted = [tuple(weight.shape) for weight in model.weights]
        if there != wanted:
            raise ValueError(
                "`directory` must hold members of this model. Received: directory="
                f"{str(self.folder)!r}, whose {self.path(step).name} has weights of "
                f"shapes {there} instead of {wanted}"
            )
        return weights

    def cut(self, step):
        """Remove the members of later steps than `step`, and what was left behind."""
        members = self._listed()
        kept = [member for member in members if member["step"] <= step]
        if kept != members:
            self._list(kept)
        atomic.remove_partial(self.folder)

    def _listed(self):
        path = self.folder / MANIFEST
        try:
            manifest = json.loads(path.read_bytes())
            if manifest["format"] != FORMAT:
                raise ValueError(f"`format` must be {FORMAT}")
            for member in manifest["members"]:
                int(member["step"]), int(member["number"])
            return manifest["members"]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no manifest of an ensemble: {error}") from None

    def _list(self, members):
        manifest = {"format": FORMAT, "members": members}
        with atomic.replacing(self.folder / MANIFEST) as partial:
            partial.write_text(json.dumps(manifest, indent=1) + "\n")
        named = {member["weights"] for member in members}
        for path in self.folder.glob("step-*.npz"):
            if path.name not in named:
                path.unlink(missing_ok=True)
