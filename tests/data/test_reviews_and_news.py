"""Reviews and news from TFDS directories: rows of numbers, of training words alone."""

import collections

import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.cli.command import main
from keras_asgld.data import ag_news_subset, imdb_reviews, text
from keras_asgld.runs import records
from tests.support.prepared import NEWS, REVIEWS, UNSEEN

CORPORA = {
    "imdb_reviews": (REVIEWS, imdb_reviews.LENGTH, 2),
    "ag_news_subset": (NEWS, ag_news_subset.LENGTH, 4),
}


def expected_rows(corpus, split, length):
    """How often each row of numbers and class is there, of what was written."""
    counts = collections.Counter(word for words in corpus["train"][0] for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    rows = collections.Counter()
    for words, label in zip(*corpus[split], strict=True):
        row = [ranked.index(word) + 2 if word in counts else 1 for word in words]
        row = (row + [0] * length)[:length]
        rows[tuple(row), label] += 1
    return rows


@pytest.mark.parametrize("name", CORPORA)
def test_texts_are_numbered_by_the_training_words_and_keep_their_classes(name, made_up):
    corpus, length, classes = CORPORA[name]
    assert any(len(words) > length for words in corpus["train"][0])
    loaded = data.load(name, data_dir=str(made_up(name)))
    assert (loaded.input_shape, loaded.num_classes) == ((length,), classes)
    for split in ("train", "test"):
        inputs, labels = getattr(loaded, f"{split}_examples")
        assert (inputs.dtype, labels.dtype) == (np.int32, np.int32)
        found = zip(map(tuple, inputs.tolist()), labels.tolist(), strict=True)
        assert collections.Counter(found) == expected_rows(corpus, split, length)
    assert (loaded.test_examples.inputs[:, :3] == text.UNKNOWN).all()  # UNSEEN


def test_words_are_what_a_reader_sees():
    seen = text.words(
        'An <b>8-bit</b> caf&eacute;,<br /><br />isn&#39;t <a href="q">IT</a>?'
        " 3 < 4 but 5 > 2; naïve_x &lt;i&gt;ends&lt;/i&gt;"
    )
    words = "an bit café isn t it but naïve x ends"
    assert seen == words.split()


def test_a_text_without_words_is_one_unknown_word():
    texts = np.array([b"12 !", b"", b"a b"], object)
    train, test = text.examples((texts, np.arange(3)), (texts[:1], np.arange(1)), 2)
    np.testing.assert_array_equal(train.inputs, [[1, 0], [1, 0], [2, 3]])
    np.testing.assert_array_equal(test.inputs, [[1, 0]])


@pytest.mark.parametrize("model", ["bag", "transformer"])
@pytest.mark.parametrize("name", CORPORA)
def test_a_network_learns_what_the_texts_are_about(name, model, made_up, tmp_path):
    assert UNSEEN not in sum(CORPORA[name][0]["train"][0], [])
    command = ["train", f"--dataset={name}", f"--data_dir={made_up(name)}"]
    command += [f"--model={model}", "--optimizer=adam", "--learning_rate=0.01"]
    command += ["--epochs=1", "--batch_size=8", "--jit_compile=off"]
    assert main([*command, f"--out_dir={tmp_path}/run"]) == 0
    record = records.read(tmp_path / "run")
    chance = 1 / CORPORA[name][2]
    # Of forty test texts by chance so many in a million tries once.
    assert record["epochs"][-1]["test_accuracy"] > chance + 0.37
