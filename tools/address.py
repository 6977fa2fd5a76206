"""Carries the repository's address from address.toml to where it is shown.

`python tools/address.py` writes the tests' badge into README.md; Colab's badge and the
installation into the notebooks; the address into CITATION.cff, and that of the site
into mkdocs.yml. The links of the package's own page are made by setup.py when it is
built. With an empty address all of it is taken out again.
"""

import json
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).parent.parent
FORM = r"https://github\.com/([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)"
COLAB = "https://colab.research.google.com"


def read(root):
    """The address, "" where there is none yet.

    Raises:
        ValueError: It is no address of a repository on GitHub.
    """
    path = root / "address.toml"
    address = tomllib.loads(path.read_text(encoding="utf-8"))["repository"].rstrip("/")
    if address and not re.fullmatch(FORM, address):
        raise ValueError(
            "`repository` must be https://github.com/OWNER/NAME. "
            f"Received: repository={address!r}"
        )
    return address


def carry(root, address):
    """Writes the address, or none, to every place; returns those that changed."""
    places = {
        root / "README.md": readme,
        root / "CITATION.cff": citation,
        root / "mkdocs.yml": site,
    }
    places |= dict.fromkeys(sorted((root / "colab").glob("*.ipynb")), notebook)
    changed = []
    for path, write in places.items():
        if not path.exists():
            continue
        old = path.read_text(encoding="utf-8")
        new = write(old, address, path.name)
        if new != old:
            path.write_text(new, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


def readme(text, address, _):
    text = re.sub(r"\[!\[Tests\].*\n\n", "", text)
    if not address:
        return text
    workflow = f"{address}/actions/workflows/tests.yml"
    title, rest = text.split("\n\n", 1)
    return f"{title}\n\n[![Tests]({workflow}/badge.svg)]({workflow})\n\n{rest}"


def citation(text, address, _):
    text = re.sub(r"^repository-code: .*\n", "", text, flags=re.MULTILINE)
    line = f"repository-code: {address}\n" if address else ""
    return re.sub(r"^(license: .*\n)", rf"\g<1>{line}", text, flags=re.MULTILINE)


def site(text, address, _):
    text = re.sub(r"^(site_url|repo_url): .*\n", "", text, flags=re.MULTILINE)
    if not address:
        return text
    owner, name = re.fullmatch(FORM, address).groups()
    lines = f"site_url: https://{owner}.github.io/{name}/\nrepo_url: {address}\n"
    return re.sub(r"^(site_name: .*\n)", rf"\g<1>{lines}", text, flags=re.MULTILINE)


def notebook(text, address, name):
    content = json.loads(text)
    place = f"{address.removeprefix('https://')}/blob/main/colab/{name}"
    place = place.replace("github.com", "github", 1)
    for cell in content["cells"]:
        source = "".join(cell["source"])
        if cell is content["cells"][0]:
            source = re.sub(r"\n\n\[!\[Open in Colab\].*", "", source)
            if address:
                badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]"
                source += f"\n\n{badge}({COLAB}/{place})"
        elif "google.colab" in source:
            source = re.sub(
                r'"keras-asgld(\[[^\]]*\])?( @ git\+[^"]*)?"',
                lambda found: (
                    f'"keras-asgld{found[1] or ""}'
                    + (f' @ git+{address}"' if address else '"')
                ),
                source,
            )
        cell["source"] = source.splitlines(keepends=True)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main():
    try:
        address = read(ROOT)
    except ValueError as error:
        print(f"address.toml: {error}", file=sys.stderr)
        return 2
    for path in carry(ROOT, address):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
