"""The documentation site shows every page and every public name."""

import importlib.util
import pathlib
import re
import types

import pytest

import keras_asgld

ROOT = pathlib.Path(__file__).parent.parent
SITE = (ROOT / "mkdocs.yml").read_text()
PAGES = {
    path.relative_to(ROOT / "docs").as_posix(): path.read_text()
    for path in (ROOT / "docs").rglob("*.md")
}


def hooks():
    pytest.importorskip("mkdocs", reason="needs the site extra")
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_and_notebook_is_in_the_navigation():
    named = set(re.findall(r"[:-] ([\w./-]+\.(?:md|ipynb))$", SITE, re.MULTILINE))
    pages = {name for name in PAGES if not name.startswith("results/")}
    notebooks = {f"colab/{path.name}" for path in (ROOT / "colab").glob("*.ipynb")}
    assert named == pages | notebooks | {"CHANGELOG.md"}


def test_every_public_name_is_documented():
    shown = set(
        re.findall(r"^::: keras_asgld\.(\w+)$", "\n".join(PAGES.values()), re.M)
    )
    assert set(keras_asgld.__all__) <= shown


@pytest.mark.parametrize(
    ("link", "address", "shown"),
    [
        ("[t](../tests/test_site.py)", None, "t"),
        ("[test_site.py](../tests/test_site.py)", None, "`tests/test_site.py`"),
        ("[t](../tests/test_site.py)", "https://a.b/c", "[t](https://a.b/c/blob/main/"),
        ("[q](../colab/quickstart.ipynb#x)", None, "[q](colab/quickstart.ipynb#x)"),
        ("[s](study.md)", None, "[s](study.md)"),
        ("[n](nowhere.md)", None, "[n](nowhere.md)"),
        ("[w](https://keras.io)", None, "[w](https://keras.io)"),
    ],
)
def test_links_that_leave_the_site(link, address, shown):
    own = {"colab/quickstart.ipynb", "study.md"}
    page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri="guide.md"))
    config = types.SimpleNamespace(repo_url=address)
    files = types.SimpleNamespace(
        get_file_from_path=lambda path: path if path in own else None
    )
    text = hooks().on_page_markdown(link, page, config, files)
    assert text.startswith(shown)


def test_paths_of_pages_in_docstrings_become_links_and_those_in_code_do_not():
    page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri="optimizers/x.md"))
    other = types.SimpleNamespace(
        page=types.SimpleNamespace(title="Bias"),
        url_relative_to=lambda file: "../../bias/",
    )
    files = types.SimpleNamespace(get_file_from_path={"bias.md": other}.get)
    html = (
        "<p>See docs/bias.md (docs/no.md).</p><pre><b>docs/bias.md</b></pre>"
        '<code>docs/bias.md</code> <a href="docs/bias.md">docs/bias.md</a>'
    )
    link = '<a href="../../bias/">Bias</a>'
    shown = html.replace("See docs/bias.md", f"See {link}")
    assert hooks().on_page_content(html, page, None, files) == shown
