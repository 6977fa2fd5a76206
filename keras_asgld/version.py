"""The version, where it can be read without loading Keras."""

__version__ = "0.2.0"
