"""Six chains together on four devices, of which three can share them, against one."""

import os
import sys
import tempfile

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import jax  # noqa: E402
import numpy as np  # noqa: E402

from keras_asgld import Chains  # noqa: E402
from keras_asgld.backend import side_by_side  # noqa: E402
from keras_asgld.sampling import together  # noqa: E402
from tests.support.monitored import compiled, data, make  # noqa: E402

assert len(jax.devices()) == 4
for count, used in ((1, 1), (2, 2), (4, 4), (5, 1), (6, 3), (8, 4)):
    chains, whole = side_by_side.places(count)
    assert len(chains.device_set) == len(whole.device_set) == used, count
used, step = [], together.Stack._log


def log(self, *arguments):
    used.append({len(array.sharding.device_set) for array in self._state[0]})
    step(self, *arguments)


together.Stack._log = log
draws = []
for way in (True, False):
    with tempfile.TemporaryDirectory() as folder:
        chains = Chains(compiled(make("SGHMC")), 6, folder, together=way)
        chains.fit(*data(), epochs=2, batch_size=8, verbose=0)
        draws.append(chains.draws(data()[0]))
assert used == [{3}, {3}], used
np.testing.assert_allclose(*draws, rtol=1e-5, atol=1e-6)
sys.stdout.write("chains agree\n")
