"""Hooks of MkDocs: what the site shows from outside docs/, and links that leave it.

Pages are read on GitHub too, where `../colab/quickstart.ipynb` and
`../tests/test_noise.py` lead where they say. On the site the notebooks, the changelog
and pictures of benchmarks are pages and files of its own; any other file of the
repository is a link to its address, once mkdocs.yml names one, and plain text before.
Docstrings are read in a terminal too, where a path such as `docs/bias.md` says where to
look: on the site it is a link to that page, by its title.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

NOTEBOOK = re.compile(r'href="(\w+)\.ipynb"')
ROOT = Path(__file__).parent.parent
OWN = ("CHANGELOG.md", "colab/*.ipynb", "benchmarks/results/*.png")
MARKUP = re.compile(r"(<(?:pre|code|a)\b.*?</(?:pre|code|a)>|<[^>]*>)", re.DOTALL)
PAGE = re.compile(r"\bdocs/([\w/-]+\.md)\b")
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
    """Links that no plugin makes: between notebooks, and out of docstrings."""
    if page.file.src_uri.endswith(".ipynb"):
        return NOTEBOOK.sub(r'href="../\1/"', html)

    def linked(match):
        other = files.get_file_from_path(match[1])
        if not other:
            return match[0]
        return f'<a href="{other.url_relative_to(page.file)}">{other.page.title}</a>'

    parts = MARKUP.split(html)
    parts[::2] = [PAGE.sub(linked, text) for text in parts[::2]]
    return "".join(parts)
