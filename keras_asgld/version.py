"""The version, where it can be read without loading Keras."""

__version__ = "0.1.0"
