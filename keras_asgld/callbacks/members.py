"""The members of an ensemble on disk: a weights file each, and a manifest."""

import hashlib
import json
from pathlib import Path

import numpy as np

from keras_asgld import atomic, npz
from keras_asgld.callbacks.origin import NAMES, is_same_run
from keras_asgld.checks import writing

MANIFEST = "ensemble.json"
FORMAT = 1
_FILES = "step-*.npz"


class Members:
    """A folder of weights files that the manifest lists, oldest first.

    A file counts only once the manifest names it, and leaves the manifest before it is
    deleted; the manifest is written whole, and before the first file. So a process
    killed at any moment leaves a sound ensemble, and files without a manifest mean
    that somebody has removed it.

    Args:
        folder: Where they are or will be.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._origin = None

    def begin(self, step, origin):
        """Keep the members of a run that begins now; those of later steps are removed.

        Args:
            step: How many steps the run has made.
            origin: What `origin.origin` gives.

        Raises:
            ValueError: If there are members of another run.
        """
        listed, members = self._manifest().get("origin"), self._listed()
        if members and not is_same_run(listed, origin, step):
            raise ValueError(
                "`directory` must hold members of this run, or none: give each run a "
                "directory of its own, or remove this one. Received: directory="
                f"{str(self.folder)!r} of {len(members)} members of another run"
            )
        self._origin = (listed if step else None) or origin
        self.cut(step)

    def steps(self):
        """The training step of each member, rising.

        Raises:
            ValueError: If the manifest cannot be understood, or there are members
                without one.
        """
        return [member["step"] for member in self._listed()]

    def last(self):
        """The last member's step and number, or zeros."""
        members = self._listed()
        return (members[-1]["step"], members[-1]["number"]) if members else (0, 0)

    def path(self, step):
        return self.folder / f"step-{step:09d}.npz"

    def add(self, step, number, model, at_most):
        """Store the model's weights, if they are finite, as the newest member.

        The oldest members beyond `at_most` are dropped.

        Args:
            step: The training step that made them.
            number: How many epochs, steps or cycles that is.
            model: A Keras model.
            at_most: An integer >= 1.

        Returns:
            Whether they are finite; if not, the ensemble is what it was before.

        Raises:
            OSError: If they cannot be written; the ensemble is what it was before.
        """
        # Not `save_weights`, which writes the optimizer too. NumPy's files know
        # no bfloat16, whose values are float32's.
        weights = [
            w if w.dtype.isbuiltin == 1 else w.astype("float32")
            for w in model.get_weights()
        ]
        if not all(np.isfinite(w).all() for w in weights):
            return False
        earlier = [m for m in self._listed() if m["step"] < step]
        with writing("directory", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / MANIFEST).exists():
                self._list([])
        with atomic.replacing(self.path(step)) as partial:
            np.savez(partial, *weights)
            digest = _digest(partial)
        member = {
            "step": step,
            "number": number,
            "weights": self.path(step).name,
            "sha256": digest,
        }
        self._list([*earlier, member][-at_most:])
        return True

    def load(self, step, model):
        """Give the model the weights of the member of that step."""
        model.set_weights(self.read(step, model))

    def read(self, step, model):
        """The weights of the member of that step, a list of arrays as the model's.

        Raises:
            ValueError: If the member is another model's, or its file is gone or
                damaged.
        """
        path = self.path(step)
        try:
            arrays = npz.read(path)
        except FileNotFoundError:
            raise self._lacking([path]) from None
        except ValueError as error:
            raise self._wrong(f"whose {path.name} cannot be read: {error}") from None
        names = [f"arr_{i}" for i in range(len(arrays))]
        if set(names) != set(arrays):
            raise self._wrong(f"whose {path.name} holds other arrays than weights")
        weights = [arrays[name] for name in names]
        there = [value.shape for value in weights]
        wanted = [tuple(weight.shape) for weight in model.weights]
        if there != wanted:
            raise self._wrong(
                f"whose {path.name} has weights of shapes {there} instead of {wanted}"
            )
        kinds = {
            str(value.dtype) for value in weights if value.dtype.kind not in "fiub"
        }
        if kinds:
            raise self._wrong(
                f"whose {path.name} has weights of dtype {', '.join(sorted(kinds))}"
            )
        # A sound file may be another ensemble's. Older manifests have no digests.
        digests = {member["step"]: member.get("sha256") for member in self._listed()}
        if digests.get(step) not in (None, _digest(path)):
            raise self._wrong(f"whose {path.name} is not the one that {MANIFEST} lists")
        return weights

    def check_files(self):
        """Raises `ValueError` unless each member that is listed has its file."""
        paths = [self.path(step) for step in self.steps()]
        absent = [path for path in paths if not path.is_file()]
        if absent:
            raise self._lacking(absent)

    def cut(self, step):
        """Remove the members of later steps than `step`, and what was left behind."""
        members = self._listed()
        kept = [member for member in members if member["step"] <= step]
        if kept != members:
            self._list(kept)
        atomic.remove_partial(self.folder)

    def _listed(self):
        return self._manifest().get("members", [])

    def _manifest(self):
        path = self.folder / MANIFEST
        try:
            manifest = json.loads(path.read_bytes())
        except FileNotFoundError:
            if any(self.folder.glob(_FILES)):
                raise ValueError(
                    f"`directory` must hold {MANIFEST}, which lists its members. "
                    f"Received: directory={str(self.folder)!r} with members and "
                    "without the list; they count no longer and may be removed"
                ) from None
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no manifest of an ensemble: {error}") from None
        problem = self._problem(manifest)
        if problem:
            raise ValueError(f"{path} is no manifest of an ensemble: {problem}")
        return manifest

    def _problem(self, manifest):
        """What a manifest has that none may have, or an empty string."""
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            return f"`format` must be {FORMAT}"
        origin = manifest.get("origin")
        if origin is not None and not (
            isinstance(origin, dict) and set(origin) == set(NAMES)
        ):
            return f"`origin` must be a dictionary of {' and '.join(NAMES)}"
        members = manifest.get("members")
        if not isinstance(members, list):
            return "`members` must be a list"
        last = -1
        for member in members:
            if not isinstance(member, dict):
                return "a member must be a dictionary"
            for name in ("step", "number"):
                if type(member.get(name)) is not int or member[name] < 0:
                    return f"`{name}` of a member must be an integer >= 0"
            if member["step"] <= last:
                return "`step` must rise from member to member"
            last = member["step"]
            if member.get("weights") != self.path(last).name:
                return f"`weights` of step {last} must be {self.path(last).name}"
            if not isinstance(member.get("sha256", ""), str):
                return f"`sha256` of step {last} must be a string"
        return ""

    def _list(self, members):
        origin = self._origin or self._manifest().get("origin")
        manifest = {"format": FORMAT, "origin": origin, "members": members}
        with atomic.replacing(self.folder / MANIFEST) as partial:
            partial.write_text(json.dumps(manifest, indent=1) + "\n")
        named = {member["weights"] for member in members}
        for path in self.folder.glob(_FILES):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _lacking(self, paths):
        return ValueError(
            "`directory` must hold the file of every member. Received: directory="
            f"{str(self.folder)!r} without {', '.join(path.name for path in paths)}"
        )

    def _wrong(self, what):
        return ValueError(
            "`directory` must hold members of this model. Received: directory="
            f"{str(self.folder)!r}, {what}"
        )


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
