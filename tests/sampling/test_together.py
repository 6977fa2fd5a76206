"""Chains that run together are those that run in turn."""

import shutil
import warnings

import keras
import numpy as np
import pytest

from keras_asgld import SGLD, Chains
from tests.sampling.test_chains import members, with_dropout
from tests.support import processes
from tests.support.monitored import as_numpy, compiled, data, make

BACKEND = keras.backend.backend()
OLD = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12)
needs_jax = pytest.mark.skipif(
    BACKEND != "jax" or OLD, reason="`vmap` is JAX's, its use asks for Keras 3.12"
)


def run(folder, model, together, epochs=3, count=3, batch_size=7, fit=None, **settings):
    chains = Chains(model, count, folder, seed=11, together=together, **settings)
    arguments = {"batch_size": batch_size, "verbose": 0, **(fit or {})}
    return chains, chains.fit(*data(), epochs=epochs, **arguments)


def assert_equal(tmp_path, make_model, **settings):
    """Members and histories of both ways; batches of 7, of which the last is less."""
    found, histories = run(tmp_path / "together", make_model(), True, **settings)
    turn, expected = run(tmp_path / "turn", make_model(), False, **settings)
    for one, other in zip(histories, expected, strict=True):
        assert set(one) == set(other)
        for name, values in other.items():
            np.testing.assert_allclose(one[name], values, rtol=1e-5, err_msg=name)
    for one, other in zip(found.ensembles, turn.ensembles, strict=True):
        assert one.members.steps() == other.members.steps() != []
        pairs = zip(
            members(one.members.folder, found.model),
            members(other.members.folder, turn.model),
            strict=True,
        )
        for ours, theirs in pairs:
            for a, b in zip(ours, theirs, strict=True):
                # Noise of another seed, or order, would differ by 1e-2 and more.
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    return found


@needs_jax
@pytest.mark.parametrize("sampler", ["SGLD", "SGHMC", "SGNHT"])
def test_weights_and_histories_are_those_of_chains_in_turn(tmp_path, sampler):
    """With dropout, an order of examples for each chain, and validation."""
    fit = {"validation_data": data()}
    chains = assert_equal(tmp_path, lambda: with_dropout(make(sampler)), fit=fit)
    apart = np.ptp(chains.draws(data()[0]), axis=0)
    assert apart.max() > 1e-2


@needs_jax
def test_batch_norm_metrics_and_cycles(tmp_path):
    def model():
        schedule = keras.optimizers.schedules.CosineDecayRestarts(0.05, 6, 1.0)
        optimizer = make("SGHMC", learning_rate=schedule)
        return compiled(optimizer, normalised=True, metrics=["accuracy"])

    fit = {"shuffle": False}
    assert_equal(tmp_path, model, unit="cycle", fit=fit, initial_weights="model")


@needs_jax
def test_members_of_steps(tmp_path):
    settings = {"unit": "step", "frequency": 3, "burn_in": 2, "max_members": 3}
    chains = assert_equal(tmp_path, lambda: compiled(make("SGLD")), **settings)
    assert chains.ensembles[2].members.steps() == [5, 8, 11]


@needs_jax
def test_finished_chains_are_not_run_again(tmp_path):
    chains, expected = run(tmp_path / "whole", compiled(make("SGLD")), True)
    folder = shutil.copytree(tmp_path / "whole", tmp_path / "again")
    (folder / "chain-1" / "chain.json").unlink()
    kept = folder / "chain-0" / "step-000000004.npz"
    stamp = kept.stat().st_mtime_ns
    again, histories = run(folder, compiled(make("SGLD")), True)
    assert histories == expected and kept.stat().st_mtime_ns == stamp
    x, _ = data()
    np.testing.assert_array_equal(again.draws(x), chains.draws(x))
    # Either way of running them finds what the other has finished.
    assert run(folder, compiled(make("SGLD")), False)[1] == expected


@needs_jax
def test_the_model_is_left_as_it_was(tmp_path):
    model = with_dropout(make("SGHMC"))
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [as_numpy(v) for v in variables]
    chains, _ = run(tmp_path, model, True)
    assert all(each.model is model for each in chains.ensembles)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(as_numpy(variable), value)


@needs_jax
def test_a_wrong_number_of_examples_is_noticed(tmp_path):
    right, wrong = (
        compiled(SGLD(0.01, examples=count, prior=1.0)) for count in (24, 30)
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "`examples`")
        run(tmp_path / "right", right, True, epochs=1)
    with pytest.warns(UserWarning, match="`examples`.*30"):
        run(tmp_path / "wrong", wrong, True, epochs=1)


@needs_jax
def test_progress_is_of_all_chains(tmp_path, capsys, monkeypatch):
    shown = []

    class Bar(keras.utils.Progbar):
        def update(self, *arguments, **others):
            super().update(*arguments, **others)
            total, count = self._values["loss"]
            shown.append(total / count)

    monkeypatch.setattr(keras.utils, "Progbar", Bar)
    _, histories = run(tmp_path, compiled(make("SGLD")), True, fit={"verbose": 1})
    output = capsys.readouterr().out
    assert output.startswith("3 chains of 3 together\n")
    # Each epoch's mean over the chains, and none over the epochs.
    means = np.mean([history["loss"] for history in histories], axis=0)
    np.testing.assert_allclose(shown, means, rtol=1e-12)
    assert "3/3" in output and f"loss: {means[-1]:.4f}" in output.splitlines()[-1]
    run(tmp_path, compiled(make("SGLD")), True, fit={"verbose": 1})
    assert capsys.readouterr().out == "0 chains of 3 together\n"


@needs_jax
def test_chains_are_spread_over_the_devices():
    started = processes.start("devices.chains", environment={"KERAS_BACKEND": "jax"})
    assert processes.finish(started) == "chains agree\n"


@needs_jax
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"callbacks": []}, "`callbacks` must be None"),
        ({"steps_per_epoch": 2}, "`steps_per_epoch` must be left out"),
        ({"shuffle": "batch"}, "`shuffle` must be True or False"),
        ({"x": iter(())}, "`x` must be an array.*Received: x of type tuple_iterator"),
        ({"y": None}, "`y` must be an array.*Received: y of type NoneType"),
        ({"validation_data": iter(())}, "`validation_data` must be a tuple of arrays"),
    ],
)
def test_what_chains_together_do_not_take_is_named(tmp_path, arguments, words):
    x, y = data()
    chains = Chains(compiled(make("SGLD")), 2, tmp_path / "chains", together=True)
    with pytest.raises(ValueError, match=words):
        chains.fit(**{"x": x, "y": y, "verbose": 0, **arguments})
    assert not (tmp_path / "chains").exists()


@pytest.mark.skipif(BACKEND == "jax", reason="of the other backends")
def test_other_backends_have_no_chains_together(tmp_path):
    words = f"`together` must be False.*together=True, KERAS_BACKEND={BACKEND}"
    with pytest.raises(ValueError, match=words):
        Chains(compiled(make("SGLD")), 2, tmp_path, together=True)


@pytest.mark.skipif(BACKEND != "jax" or not OLD, reason="of JAX with an old Keras")
def test_an_old_keras_has_no_chains_together(tmp_path):
    words = f"`together` must be False with Keras.*keras {keras.__version__}"
    with pytest.raises(ValueError, match=words):
        Chains(compiled(make("SGLD")), 2, tmp_path, together=True)


def test_together_is_true_or_false(tmp_path):
    with pytest.raises(ValueError, match="`together` must be True or False"):
        Chains(compiled(make("SGLD")), 2, tmp_path, together=1)
