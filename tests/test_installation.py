"""What an installation asks for, and that the lowest releases are the ones tested."""

import configparser
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
METADATA = """
import sys
from setuptools import build_meta
folder = sys.argv[1]
name = build_meta.prepare_metadata_for_build_wheel(folder)
print(open(f"{folder}/{name}/METADATA").read())
"""


def required(tmp_path, **environment):
    """The requirements of a wheel of a copy of the project, without its extras'."""
    pytest.importorskip("setuptools", "77")
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".*", "docs", "tests", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=ignored)
    done = subprocess.run(
        [sys.executable, "-c", METADATA, str(tmp_path)],
        cwd=copy,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^Requires-Dist: (.*)$", done.stdout, re.MULTILINE)
    return sorted(
        re.match(r"[\w-]+", line)[0] for line in lines if "extra ==" not in line
    )


def test_a_plain_installation_brings_tensorflow(tmp_path):
    found = required(tmp_path, KERAS_ASGLD_WITHOUT_TENSORFLOW="0")
    assert {"tensorflow", "tensorflow-datasets", "keras", "absl-py"} <= set(found)


def test_an_installation_without_tensorflow_brings_all_else(tmp_path):
    found = required(tmp_path, KERAS_ASGLD_WITHOUT_TENSORFLOW="1")
    assert found == ["absl-py", "keras", "numpy", "rich", "scikit-learn"]


def test_the_lowest_set_is_that_of_the_lower_bounds():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    text = "\n".join(
        [
            config["options"]["install_requires"],
            *(extras[name] for name in ("diagnostics", "tensorboard", "jax", "torch")),
        ]
    )
    bounds = dict(re.findall(r"^([\w-]+) >= ([\d.]+)", text, re.MULTILINE))
    pins = (ROOT / "constraints" / "lowest.txt").read_text()
    pins = dict(re.findall(r"^([\w-]+)==([\d.]+)$", pins, re.MULTILINE))
    for name, bound in bounds.items():
        assert f"{pins[name]}.".startswith(f"{bound}."), name


def hints():
    """(File, requirement) of what the package's messages say to install."""
    for path in sorted((ROOT / "keras_asgld").rglob("*.py")):
        # A message may go on in the next line's string.
        text = re.sub(r'"\n\s*f?"', "", path.read_text())
        for found in re.findall(r"pip install ([^`\"()]+)", text):
            for requirement in shlex.split(found):
                yield path.relative_to(ROOT).as_posix(), requirement


def test_hints_name_packages_that_setup_knows_and_not_this_one():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = [
        config["options"]["install_requires"],
        *config["options.extras_require"].values(),
    ]
    known = dict(re.findall(r"^([\w-]+)(?: >= [\d.]+)?(.*)$", "\n".join(lines), re.M))
    found = list(hints())
    assert len(found) > 8
    for path, requirement in found:
        # From a checkout there is no keras-asgld to be found on an index.
        if requirement != "{package}":
            name, bound = re.fullmatch(r"([\w-]+)(<.*)?", requirement).groups()
            assert name.lower() in known, (path, requirement)
            above = re.search(r"< \d+", known[name])
            assert (bound or "") == (above or [""])[0].replace(" ", ""), path
