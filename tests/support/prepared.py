"""Small data directories that TFDS's own builders write, of made-up texts and tones.

The builders run as they are but for the download, which is a folder of ours, and for
the decoding of sound files, which wants one more package.
"""

import csv
import io
import tarfile

import numpy as np
import pytest

FILLERS = [f"filler{letter}" for letter in "abcdefghijklmnopqrst"]
UNSEEN = "xylophones"  # in every test text, often, and in no training text
SPEAKERS = ("high", "low")
RECORDINGS = 12  # of each tone by each speaker
LEAD = 1024  # samples of silence with which the tones to test on begin


def corpus(classes, lengths, count, seed, extra=()):
    """Returns texts, lists of words, and classes, which a word in three gives away."""
    random = np.random.RandomState(seed)
    labels = random.permutation(np.arange(count) % classes)
    texts = []
    for label in labels:
        telling = [f"telling{'abcd'[label]}{letter}" for letter in "abc"]
        length = random.randint(*lengths)
        picks = random.rand(length) < 1 / 3
        words = [random.choice(telling if pick else FILLERS) for pick in picks]
        texts.append([*extra, *words])
    return texts, labels.tolist()


REVIEWS = {
    "train": corpus(2, (5, 230), 160, seed=0),
    "test": corpus(2, (5, 230), 40, seed=1, extra=[UNSEEN] * 3),
}
NEWS = {
    "train": corpus(4, (3, 60), 240, seed=2),
    "test": corpus(4, (3, 60), 40, seed=3, extra=[UNSEEN] * 3),
}


def as_html(words):
    """The words with capitals, tags, entities, digits and stops around them."""
    first, *others = words
    return (
        f'{first.title()}, 12&#39;<br /><br />{" ".join(others)}. <a href="x">&amp;</a>'
    )


def write_reviews(folder, download):
    path = download / "aclImdb_v1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:

        def add(name, text):
            member = tarfile.TarInfo(f"aclImdb/{name}.txt")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))

        for split, (texts, labels) in REVIEWS.items():
            for i, (words, label) in enumerate(zip(texts, labels, strict=True)):
                add(f"{split}/{('neg', 'pos')[label]}/{i}_5", as_html(words))
        add("train/unsup/0_0", f"{UNSEEN} and nothing else")
    _write("imdb_reviews", folder, lambda manager, url: path)


def write_news(folder, download):
    (download / "ag_news_csv").mkdir()
    for split, (texts, labels) in NEWS.items():
        with open(download / "ag_news_csv" / f"{split}.csv", "w", newline="") as file:
            rows = csv.writer(file, quoting=csv.QUOTE_ALL)
            for words, label in zip(texts, labels, strict=True):
                rows.writerow([label + 1, " ".join(words[:2]), as_html(words[2:])])
    _write("ag_news_subset", folder, lambda manager, urls: {"ag_news_csv": download})


def pitch(digit):
    """The hertz of the tone that stands for a digit."""
    return 300.0 * 1.25**digit


def tones():
    """Yields file names, digits and recordings: no speech, but tones in noise."""
    random = np.random.RandomState(0)
    for digit in range(10):
        for speaker in SPEAKERS:
            for number in range(RECORDINGS):
                # Of all lengths and volumes, as recordings are.
                time = np.arange(random.randint(4000, 12_000)) / 8000
                sound = np.sin(2 * np.pi * pitch(digit) * time + random.rand())
                sound += 0.1 * random.standard_normal(len(time))
                sound *= 10 ** random.uniform(2, 4)
                lead = np.zeros(LEAD if number < 5 else 0)
                recording = np.concatenate([lead, sound]).astype(np.int64)
                yield f"{digit}_{speaker}_{number}.wav", digit, recording


def write_tones(folder, download):
    import tensorflow_datasets as tfds

    def examples(self, path):
        for name, digit, recording in tones():
            yield name, {"audio": recording, "label": digit, "audio/filename": name}

    with pytest.MonkeyPatch.context() as patch:
        builder = type(tfds.builder("spoken_digit", data_dir=folder))
        patch.setattr(builder, "_generate_examples", examples)
        _write("spoken_digit", folder, lambda manager, url: str(download))


def _write(name, folder, fetch):
    import tensorflow_datasets as tfds

    with pytest.MonkeyPatch.context() as patch:
        for method in ("download", "download_and_extract"):
            patch.setattr(tfds.download.DownloadManager, method, fetch)
        tfds.builder(name, data_dir=folder).download_and_prepare()


WRITERS = {
    "imdb_reviews": write_reviews,
    "ag_news_subset": write_news,
    "spoken_digit": write_tones,
}
