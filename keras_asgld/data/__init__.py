"""Pictures, tables, texts and speech in batches that a seed makes the same again."""

from keras_asgld.data.loading import DATASETS, load
from keras_asgld.data.pipeline import Data
from keras_asgld.data.source import DataError

__all__ = ["DATASETS", "Data", "DataError", "load"]
