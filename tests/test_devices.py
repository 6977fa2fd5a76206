"""Several devices and several processes train as one does.

Each test runs real processes on its own back end, whatever `KERAS_BACKEND` says, and
skips where that back end is not installed.
"""

import importlib.util
import socket

import numpy as np
import pytest

from tests.support import processes
from tests.support.processes import finish

pytestmark = pytest.mark.slow


def start(program, *arguments, backend):
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["TF_CONFIG"] = "{}"
    return processes.start(program, *arguments, environment=environment)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def needs(module):
    return pytest.mark.skipif(
        importlib.util.find_spec(module) is None, reason=f"{module} is not installed"
    )


def assert_workers_equal(paths):
    first, second = (np.load(path) for path in paths)
    assert len(first.files) == 6
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name])
        assert np.isfinite(first[name]).all()


@needs("tensorflow")
@needs("jax")
@needs("torch")
def test_a_hundred_steps_on_a_convex_problem_are_the_same_on_every_backend(tmp_path):
    backends = ("tensorflow", "jax", "torch")
    for backend in backends:
        finish(start("convex", tmp_path / f"{backend}.npz", backend=backend))
    results = [np.load(tmp_path / f"{backend}.npz") for backend in backends]
    for other in results[1:]:
        np.testing.assert_array_equal(other["bits"], results[0]["bits"])
        for name in ("kernel", "bias"):
            np.testing.assert_allclose(other[name], results[0][name], rtol=0, atol=1e-5)


@needs("tensorflow")
def test_mirrored_replicas_are_equal_to_the_bit_and_agree_with_one_device():
    assert finish(start("devices.mirrored", backend="tensorflow")) == "replicas agree\n"


@needs("tensorflow")
def test_workers_of_a_multi_worker_strategy_are_equal_to_the_bit(tmp_path):
    ports = free_ports(2)
    paths = [tmp_path / f"{index}.npz" for index in range(2)]
    finish(
        *[
            start("devices.multi_worker", index, *ports, path, backend="tensorflow")
            for index, path in enumerate(paths)
        ]
    )
    assert_workers_equal(paths)


@needs("jax")
def test_sharded_noise_is_that_of_one_device():
    assert finish(start("devices.jax_sharded", backend="jax")) == "shards agree\n"


@needs("torch")
def test_workers_of_distributed_data_parallel_are_equal_to_the_bit(tmp_path):
    [port] = free_ports(1)
    paths = [tmp_path / f"{rank}.npz" for rank in range(2)]
    finish(
        *[
            start("devices.torch_ddp", rank, port, path, backend="torch")
            for rank, path in enumerate(paths)
        ]
    )
    assert_workers_equal(paths)
