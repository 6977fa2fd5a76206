"""Installs what setup.cfg says; without TensorFlow, if the user asks for that.

`KERAS_ASGLD_WITHOUT_TENSORFLOW=1 pip install '.[jax]'` leaves out TensorFlow and its
data sets. An extra can only add, and `--no-deps` would leave out the rest as well.
"""

import configparser
import os

import setuptools

LEFT_OUT = ("tensorflow", "importlib_resources")


def requirements():
    config = configparser.ConfigParser(interpolation=None)
    config.read("setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].split("\n")
    found = [line for line in lines if line.strip() and not line.startswith("#")]
    if os.environ.get("KERAS_ASGLD_WITHOUT_TENSORFLOW", "0") != "0":
        found = [line for line in found if not line.startswith(LEFT_OUT)]
    return found


setuptools.setup(install_requires=requirements())
