"""Pictures, tables and texts in batches that are the same on every run of a seed."""

from keras_asgld.data.loading import DATASETS, load
from keras_asgld.data.pipeline import Data
from keras_asgld.data.source import DataError

__all__ = ["DATASETS", "Data", "DataError", "load"]
