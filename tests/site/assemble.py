"""Put the pages of the site into one folder, for MkDocs.

`python -m tests.site.assemble build/site` is a part of `make docs`. It copies the pages of docs/
and the files to which they link, writes those that are made from the code, draws the gallery, and
writes the configuration. SNSTAT_REPOSITORY and SNSTAT_SITE may hold the addresses of the repository
and of the site.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from tests.notebooks import NOTEBOOKS
from tests.site.gallery import draw, gallery_page
from tests.site.notebooks import notebook_page
from tests.site.words import words_pages

CHECKOUT = Path(__file__).parents[2]
TEMPLATE = CHECKOUT / "docs" / "mkdocs.yml"
# Pages beside those of docs/; what they link to is found by their links.
ROOTS = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "examples/check/README.md",
    "tests/README.md",
)
LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


def written_pages() -> list[Path]:
    """Return the pages that people wrote, relative to the repository."""
    docs = sorted((CHECKOUT / "docs").glob("*.md"))
    return [*(path.relative_to(CHECKOUT) for path in docs), *map(Path, ROOTS)]


def linked(page: Path) -> set[Path]:
    """Return the files to which a page links, relative to the repository. Raises SystemExit for a
    file that does not exist."""
    found = set()
    for target in LINK.findall((CHECKOUT / page).read_text("utf-8")):
        path = (CHECKOUT / page.parent / target).resolve()
        if not path.exists():
            raise SystemExit(f"{page} links to {target}, which does not exist")
        if path.is_file():
            found.add(path.relative_to(CHECKOUT))
    return found


def copy_pages(folder: Path) -> None:
    """Copy pages, and all to which they link, at their paths in the repository."""
    pages = written_pages()
    files = {*pages, *(file for page in pages for file in linked(page))}
    for file in files:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / file, target)


def write_pages(folder: Path) -> None:
    """Write the pages that are made from the code and from notebooks."""
    notebooks = folder / "docs" / "notebooks"
    notebooks.mkdir(parents=True)
    pages = {**dict(words_pages()), "docs/gallery.md": gallery_page()}
    for path in NOTEBOOKS:
        pages[f"docs/notebooks/{path.stem}.md"], pictures = notebook_page(path)
        for name, picture in pictures.items():
            (notebooks / name).write_bytes(picture)
        shutil.copyfile(path, folder / path.relative_to(CHECKOUT))
    for name, text in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def configuration(folder: Path) -> dict[str, Any]:
    """Return the configuration of MkDocs for the pages in `folder`, which is named in it."""
    found: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text("utf-8"))
    pages = [path.relative_to(folder).as_posix() for path in folder.rglob("*.md")]
    pages.sort(key=lambda page: (not page.endswith("/index.md"), page))
    found["nav"] = expanded(found["nav"], pages)
    found["docs_dir"], found["site_dir"] = folder.name, "html"
    found["hooks"] = [str(Path(__file__).with_name("hooks.py"))]
    for key, variable in (("repo_url", "SNSTAT_REPOSITORY"), ("site_url", "SNSTAT_SITE")):
        found[key] = os.environ.get(variable, "")
    return found


def expanded(nav: list[Any], pages: list[str]) -> list[Any]:
    """Return a list of pages and sections with the pages that its patterns stand for.

    Each page is under the first pattern that it matches, unless it is named somewhere.
    """
    left = [page for page in pages if page not in set(named(nav))]

    def walk(entries: list[Any]) -> list[Any]:
        result: list[Any] = []
        for entry in entries:
            if isinstance(entry, dict):
                ((title, inner),) = entry.items()
                result.append({title: walk(inner) if isinstance(inner, list) else inner})
            elif "*" in entry:
                folder = entry.rpartition("/")[0]
                fits = [page for page in left if fnmatch(page, entry) and _folder(page) == folder]
                left[:] = [page for page in left if page not in fits]
                result += [_titled(page) for page in fits]
            else:
                result.append(entry)
        return result

    return walk(nav)


def _folder(page: str) -> str:
    return page.rpartition("/")[0]


def _titled(page: str) -> Any:
    """Return a page that is written from the code with its name, for a short menu."""
    name = page.rpartition("/")[2].removesuffix(".md")
    folder = _folder(page)
    if folder == "docs/rules":
        return {name.upper(): page}
    short = folder in {"docs/commands", "docs/layers"} and name != "index"
    return {name: page} if short else page


def named(entries: list[Any]) -> list[str]:
    names: list[str] = []
    for entry in entries:
        inner = next(iter(entry.values())) if isinstance(entry, dict) else entry
        names += named(inner) if isinstance(inner, list) else [inner]
    return names


def assemble(target: Path) -> None:
    """Make the pages of the site, and its configuration, in `target`."""
    folder = target / "pages"
    shutil.rmtree(folder, ignore_errors=True)
    copy_pages(folder)
    write_pages(folder)
    draw(folder / "docs" / "gallery")
    words = json.dumps(configuration(folder), indent=2, ensure_ascii=False)
    (target / "mkdocs.yml").write_text(words, "utf-8")  # JSON is YAML


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
