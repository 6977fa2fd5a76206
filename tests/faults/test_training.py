"""Training in threads, on sparse and ragged inputs, and for long in one process."""

import functools
import gc
import os
import threading

import keras
import numpy as np
import pytest

from keras_asgld import callbacks
from tests.support import family

BACKEND = keras.backend.backend()
# Each optimizer, made of a seed.
FAMILY = {
    name: functools.partial(kind, **numbers)
    for name, (kind, numbers) in family.FAMILY.items()
}


def slow_but(*names):
    """The family, of which all but these are tried where time is no matter."""
    return [
        n if n in names else pytest.param(n, marks=pytest.mark.slow) for n in FAMILY
    ]


def network(seed, inputs, *layers):
    kernel = keras.initializers.GlorotUniform(seed)
    layers = [*layers, keras.layers.Dense(4, "tanh", kernel_initializer=kernel)]
    return keras.Sequential(
        [inputs, *layers, keras.layers.Dense(1, kernel_initializer=kernel)]
    )


def problem(rows=64):
    random = np.random.RandomState(3)
    x = random.normal(size=(rows, 6)).astype("float32") * random.binomial(1, 0.3, (6,))
    return x.astype("float32"), x.sum(1, keepdims=True).astype("float32")


def train(make, seed, x, y, inputs, *layers):
    model = network(seed, inputs, *layers)
    model.compile(make(seed=seed), loss="mse")
    model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0)
    return np.concatenate([weights.ravel() for weights in model.get_weights()])


@functools.cache
def trained_alone(name, seed):
    return train(FAMILY[name], seed, *problem(), keras.Input((6,)))


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch's modes are of the process")
@pytest.mark.parametrize(
    "name", ["ASGLD", pytest.param("SGHMC", marks=pytest.mark.slow)]
)
def test_models_trained_in_threads_are_as_those_trained_alone(name):
    make, (x, y) = FAMILY[name], problem()
    alone = [trained_alone(name, seed) for seed in range(3)]
    together = {}

    def work(seed):
        together[seed] = train(make, seed, x, y, keras.Input((6,)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, expected in enumerate(alone):
        np.testing.assert_array_equal(together[seed], expected)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="has sparse and ragged tensors")
@pytest.mark.parametrize("name", slow_but("ASGLD", "SGHMC"))
def test_sparse_inputs_train_as_dense_ones(name):
    import tensorflow as tf

    make, (x, y) = FAMILY[name], problem()
    sparse = keras.Input((6,), sparse=True)
    found = train(make, 1, tf.sparse.from_dense(x), y, sparse)
    expected = trained_alone(name, 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="has sparse and ragged tensors")
@pytest.mark.parametrize("name", slow_but("ASGLD"))
def test_ragged_inputs_train_as_padded_ones(name):
    import tensorflow as tf

    lengths = np.random.RandomState(1).randint(1, 6, 64)
    values = (np.arange(lengths.sum()) % 9 + 1).astype("float32")
    ragged = tf.RaggedTensor.from_row_lengths(values, lengths)
    y = lengths[:, None].astype("float32")
    pad = keras.layers.Lambda(lambda x: x.to_tensor(shape=(None, 6)))
    make = FAMILY[name]
    found = train(make, 1, ragged, y, keras.Input((None,), ragged=True), pad)
    expected = train(
        make, 1, ragged.to_tensor(shape=(None, 6)).numpy(), y, keras.Input((6,))
    )
    np.testing.assert_array_equal(found, expected)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


linux = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="reads Linux's /proc"
)


@linux
@pytest.mark.slow
def test_monitored_steps_hold_no_memory_and_no_files():
    x, y = problem(320)
    model = network(0, keras.Input((6,)))
    model.compile(FAMILY["ASGLD"](seed=0), loss="mse")
    monitor = callbacks.NoiseMonitor(frequency=1)
    places = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            places.append((resident(), len(os.listdir("/proc/self/fd"))))

    model.fit(x, y, epochs=250, batch_size=16, verbose=0, callbacks=[monitor, Watch()])
    begin, end = places[50], places[-1]  # 5,000 steps, of which the last 4,000
    assert end[0] - begin[0] < 40, places[::25]
    assert end[1] == begin[1]


@linux
@pytest.mark.slow
def test_thirty_models_in_one_process_leave_little(tmp_path):
    x, y = problem()
    sizes = []
    for seed in range(30):
        train(FAMILY["ASGLD"], seed, x, y, keras.Input((6,)))
        keras.backend.clear_session()
        gc.collect()
        sizes.append(resident())
    assert sizes[-1] - sizes[9] < 60, sizes
