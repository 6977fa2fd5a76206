"""Surnames of ten European languages, letter by letter, out of Faker's lists."""

import collections
import importlib

import numpy as np

from keras_asgld.data import text
from keras_asgld.data.source import DataError, Examples, Source
from keras_asgld.data.splits import stratified_order

LANGUAGES = (
    *("de_DE", "en_GB", "es_ES", "fi_FI", "fr_FR"),
    *("hr_HR", "it_IT", "nl_NL", "sk_SK", "sv_SE"),
)
OF_EACH, TEST_SIZE = 300, 600
LENGTH = 12  # letters


def read(data_dir=None):
    """Returns 2,400 training and 600 test examples; `data_dir` is not used.

    Names that two of the languages share are left out.
    """
    names = [sorted(set(_surnames(language))) for language in LANGUAGES]
    shared = collections.Counter(name for each in names for name in each)
    chosen, labels = [], []
    for label, each in enumerate(names):
        own = [name for name in each if shared[name] == 1]
        # Spread over the alphabet.
        places = np.linspace(0, len(own) - 1, OF_EACH).round().astype(int)
        chosen += [list(own[i].lower()) for i in places]
        labels += [label] * OF_EACH
    labels = np.array(labels, np.int32)
    order = stratified_order(labels)
    numbers = text.vocabulary(chosen[i] for i in order[TEST_SIZE:])
    examples = Examples(text.encode(chosen, numbers, LENGTH), labels)
    return examples.take(order[TEST_SIZE:]), examples.take(order[:TEST_SIZE])


def _surnames(language):
    try:
        module = importlib.import_module(f"faker.providers.person.{language}")
    except ImportError as error:
        raise DataError(
            "The surnames come with Faker, which is not installed: run "
            "`pip install faker`."
        ) from error
    return module.Provider.last_names


SOURCE = Source(read, num_classes=len(LANGUAGES), white=None)
