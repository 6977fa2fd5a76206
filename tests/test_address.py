"""The repository's address: written once, carried everywhere, not claimed before."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import keras_asgld

ROOT = pathlib.Path(__file__).parent.parent
ADDRESS = "https://github.com/somebody/keras-asgld"
CARRIED = ("README.md", "CITATION.cff", "mkdocs.yml", "colab")


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".git", ".venv", "tests", "*.egg-info")
    shutil.copytree(ROOT, folder, ignore=ignored)
    set_address(folder, "")
    assert carry(folder).returncode == 0
    return folder


def set_address(folder, address):
    path = folder / "address.toml"
    line = f'repository = "{address}"'
    path.write_text(re.sub('^repository = ".*"$', line, path.read_text(), flags=re.M))


def carry(folder):
    return subprocess.run(
        [sys.executable, folder / "tools" / "address.py"],
        capture_output=True,
        text=True,
    )


def contents(folder):
    paths = [folder / name for name in CARRIED] + list(folder.glob("colab/*.ipynb"))
    return {path: path.read_bytes() for path in paths if path.is_file()}


def metadata(folder):
    program = (
        "from setuptools import build_meta; "
        "print(build_meta.prepare_metadata_for_build_wheel('.'))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
    (found,) = folder.glob("*.dist-info")
    return (found / "METADATA").read_text()


def test_what_stands_there_is_what_the_command_writes(copy):
    address = re.search(
        '^repository = "(.*)"$', (ROOT / "address.toml").read_text(), re.M
    )
    set_address(copy, address[1])
    assert carry(copy).returncode == 0
    original = {path.name: text for path, text in contents(ROOT).items()}
    assert {path.name: text for path, text in contents(copy).items()} == original


def test_without_an_address_none_is_claimed(copy):
    for path, text in contents(copy).items():
        assert b"github.com/" not in text.replace(b"raw.githubusercontent.com", b""), (
            path
        )
        assert b"colab.research" not in text, path
    assert "Project-URL" not in metadata(copy)


def test_the_command_carries_it_to_every_place(copy):
    before = contents(copy)
    set_address(copy, ADDRESS)
    done = carry(copy)
    assert done.returncode == 0
    after = contents(copy)
    assert set(done.stdout.split()) == {str(p.relative_to(copy)) for p in after}
    assert (
        f"({ADDRESS}/actions/workflows/tests.yml)" in (copy / "README.md").read_text()
    )
    assert f"repository-code: {ADDRESS}\n" in (copy / "CITATION.cff").read_text()
    for path in copy.glob("colab/*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        place = f"github/somebody/keras-asgld/blob/main/colab/{path.name}"
        assert f"(https://colab.research.google.com/{place})" in "".join(
            cells[0]["source"]
        )
        installed = re.findall(
            r"%pip install.*", "".join("".join(c["source"]) for c in cells)
        )
        assert installed and f'@ git+{ADDRESS}"' in installed[0]
    if (copy / "mkdocs.yml").exists():
        assert f"repo_url: {ADDRESS}\n" in (copy / "mkdocs.yml").read_text()
    assert carry(copy).stdout == ""  # once is enough
    set_address(copy, "")
    assert carry(copy).returncode == 0 and contents(copy) == before


def test_the_page_of_the_package_has_absolute_links(copy):
    set_address(copy, ADDRESS)
    text = metadata(copy)
    assert f"Project-URL: Source, {ADDRESS}\n" in text
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets and all(re.match("https?://|#", target) for target in targets)
    assert f"]({ADDRESS}/blob/main/docs/guide/index.md" in text
    picture = (
        r"!\[[^\]]*\]\(https://raw\.githubusercontent\.com/somebody/keras-asgld/main/"
    )
    assert re.search(picture, text)


def test_what_is_no_address_is_refused(copy):
    set_address(copy, "github.com/somebody")
    done = carry(copy)
    assert done.returncode == 2 and "Received: repository='github.com" in done.stderr


def test_the_version_is_that_of_changelog_and_citation():
    changes = re.findall(
        r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    headings = re.findall("^## ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert len(changes) == len(headings)  # each with its date
    citation = (ROOT / "CITATION.cff").read_text()
    assert changes[0][0] == keras_asgld.__version__
    assert f"\nversion: {keras_asgld.__version__}\n" in citation
    assert f"\ndate-released: {changes[0][1]}\n" in citation
