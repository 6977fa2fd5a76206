"""Installs what setup.cfg says, but for two things that a file cannot say.

`KERAS_ASGLD_WITHOUT_TENSORFLOW=1 pip install '.[jax]'` leaves out TensorFlow and its
data sets. An extra can only add, and `--no-deps` would leave out the rest as well.

The package's page shows README.md, whose links lead to files beside it. They lead to
the repository there, if address.toml has its address.
"""

import configparser
import os
import re
import tomllib
from pathlib import Path

import setuptools

LEFT_OUT = ("tensorflow", "importlib_resources")


def requirements():
    config = configparser.ConfigParser(interpolation=None)
    config.read("setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].split("\n")
    found = [line for line in lines if line.strip()]
    if os.environ.get("KERAS_ASGLD_WITHOUT_TENSORFLOW", "0") != "0":
        found = [line for line in found if not line.startswith(LEFT_OUT)]
    return found


def description(address):
    text = Path("README.md").read_text(encoding="utf-8")
    if not address:
        return text
    there = address.replace("github.com", "raw.githubusercontent.com")
    local = r"\]\((?![a-z]+:|#)"
    text = re.sub(rf"(!\[[^\]]*){local}", rf"\g<1>]({there}/main/", text)
    return re.sub(local, f"]({address}/blob/main/", text)


def addresses(address):
    if not address:
        return {}
    changes = f"{address}/blob/main/CHANGELOG.md"
    return {"Source": address, "Issues": f"{address}/issues", "Changelog": changes}


content = tomllib.loads(Path("address.toml").read_text(encoding="utf-8"))
address = content["repository"].rstrip("/")
setuptools.setup(
    install_requires=requirements(),
    long_description=description(address),
    project_urls=addresses(address),
)
