"""Chains that would end before their first member are refused before they begin."""

import keras
import pytest

from keras_asgld import Chains
from tests.support.monitored import compiled, data, make

x, y = data()


def run(folder, x=x, y=y, epochs=2, batch_size=8, fit=None, **settings):
    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.05, 3, 1.0)
    chains = Chains(
        compiled(make("SGLD", learning_rate=schedule)), 2, folder, **settings
    )
    if batch_size:
        fit = {"batch_size": batch_size, **(fit or {})}
    chains.fit(x, y, epochs=epochs, verbose=0, **(fit or {}))
    return chains


# Two epochs of three steps, the length of a cycle.
@pytest.mark.parametrize(
    "settings, words",
    [
        ({"burn_in": 9}, "2 epochs. Received: burn_in=9, frequency=1, epochs=2"),
        ({"burn_in": 1, "frequency": 2}, "2 epochs. Received: burn_in=1, frequency=2"),
        ({"burn_in": 6, "unit": "step"}, "6 steps"),
        ({"burn_in": 2, "unit": "cycle"}, "2 cycles"),
        ({"burn_in": 4, "unit": "step", "fit": {"steps_per_epoch": 2}}, "4 steps"),
        ({"burn_in": 4, "unit": "step", "fit": {"validation_split": 0.5}}, "4 steps"),
        ({"burn_in": 3, "unit": "step", "fit": {"initial_epoch": 1}}, "3 steps"),
        ({"burn_in": 2, "unit": "step", "batch_size": None}, "2 steps"),
    ],
)
def test_chains_that_would_end_before_their_first_member(tmp_path, settings, words):
    words = f"`burn_in` . `frequency` must be .* `epochs` .*: {words}"
    with pytest.raises(ValueError, match=words):
        run(tmp_path / "chains", **settings)
    assert not (tmp_path / "chains").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"burn_in": 1},
        {"burn_in": 5, "unit": "step"},
        {"burn_in": 1, "unit": "cycle"},
        {"burn_in": 1, "unit": "step", "batch_size": None},
    ],
)
def test_chains_that_end_with_their_first_member(tmp_path, settings):
    chains = run(tmp_path, **settings)
    assert [len(each) for each in chains.ensembles] == [1, 1]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_sets_of_tensorflow(tmp_path):
    tf = pytest.importorskip("tensorflow")
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    others = {"y": None, "batch_size": None, "unit": "step"}
    with pytest.raises(ValueError, match="6 steps"):
        run(tmp_path / "chains", x=batches, burn_in=6, **others)
    # As many, which it does not say.
    batches = batches.filter(lambda x, y: True)
    others["fit"] = {"shuffle": False}
    assert len(run(tmp_path / "chains", x=batches, burn_in=5, **others)) == 2
