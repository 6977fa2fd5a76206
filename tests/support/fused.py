"""Runs with and without fused operations, in a process that may still ask for it."""

import contextlib
import json
import sys
from pathlib import Path

from keras_asgld.runs import environment

environment.allow_fusion()

from tensorflow.python.eager import context  # noqa: E402

from keras_asgld import data  # noqa: E402
from keras_asgld.runs import settings, training  # noqa: E402
from tests.support.interrupting import Interrupting  # noqa: E402

LOADED = data.load("digits", batch_size=64, train_size=160)  # the last batch is of 32


def run(folder, jit_compile, after=None):
    """The record, and the operations in the graphs that TensorFlow ran."""
    chosen = settings.make(
        "digits",
        "nesterov",
        model="airbench-tiny",
        epochs=3,
        batch_size=64,
        seed=0,
        image_size=None,
        train_size=160,
        weight_decay=0.0,
        drop_factor=0.1,
        jit_compile=jit_compile,
    )
    context.enable_graph_collection()
    progress = Interrupting(after, epochs=3)
    record = training.run(chosen, folder, LOADED, progress, keep_weights=True)
    graphs = context.export_run_metadata().partition_graphs
    context.disable_graph_collection()
    return record, sorted({node.op for graph in graphs for node in graph.node})


def main(folder):
    found = {
        "fused": run(folder / "fused", "elementwise"),
        "plain": run(folder / "plain", "off"),
    }
    with contextlib.suppress(KeyboardInterrupt):
        run(folder / "interrupted", "elementwise", after=1)
    found["resumed"] = run(folder / "interrupted", "elementwise")
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
