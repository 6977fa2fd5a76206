"""Hooks of MkDocs: what the site shows from outside docs/, and links that leave it.

Pages are read on GitHub too, where `../colab/quickstart.ipynb` and
`../tests/test_noise.py` lead where they say. On the site the notebooks, the changelog
and pictures of benchmarks are pages and files of its own; any other file of the
repository is a link to its address, once mkdocs.yml names one, and plain text before.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

NOTEBOOK = re.compile(r'href="(\w+)\.ipynb"')
ROOT = Path(__file__).parent.parent
OWN = ("CHANGELOG.md", "colab/*.ipynb", "benchmarks/results/*.png")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


@event_priority(100)  # before the plugin that looks for notebooks
def on_files(files, config):
    for pattern in OWN:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(
                File(name, str(ROOT), config.site_dir, config.use_directory_urls)
            )
    return files


def on_page_markdown(markdown, page, config, files):
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(match):
        picture, text, target, anchor = match.groups()
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        in_docs = posixpath.normpath(posixpath.join("docs", folder, target))
        if page.file.src_uri == "CHANGELOG.md":
            in_docs = posixpath.normpath(target)
        own = in_docs.removeprefix("docs/")
        if files.get_file_from_path(own):
            relative = posixpath.relpath(own, folder or ".")
            return f"{picture}[{text}]({relative}{anchor or ''})"
        if not (ROOT / in_docs).exists():
            return match[0]  # broken: MkDocs will say so
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{in_docs})"
        return f"`{in_docs}`" if in_docs.endswith(f"/{text}") else text

    return LINK.sub(rewritten, markdown)


def on_page_content(html, page, config, files):
    """Links between notebooks, which their plugin leaves as they are."""
    if page.file.src_uri.endswith(".ipynb"):
        return NOTEBOOK.sub(r'href="../\1/"', html)
    return html
