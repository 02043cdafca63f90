"""CONTRIBUTING.md shows the code as it is, and is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs_blocks import blocks

CHECKOUT = Path(__file__).parents[1]
GUIDE = (CHECKOUT / "CONTRIBUTING.md").read_text("utf-8")
# Two screens of a tall window.
MOST_LINES = 150


def diffs():
    """Return (file, lines) of the diffs of the guide."""
    shown = "".join(block.text for block in blocks(GUIDE) if block.language == "diff")
    _, *parts = re.split(r"^\+\+\+ b/", shown, flags=re.MULTILINE)
    return [(file, lines) for file, *lines in map(str.splitlines, parts)]


@pytest.mark.parametrize(("file", "lines"), diffs(), ids=[file for file, _ in diffs()])
def test_a_diff_shows_the_code_as_it_is(file, lines):
    """… stands for lines, and so do other lines that are left out."""
    there = iter((CHECKOUT / file).read_text("utf-8").splitlines())
    shown = [line[1:] for line in lines if "…" not in line]
    # Consumes the lines of the file, so the order counts.
    other = [line for line in shown if line not in there]
    assert other == [], f"CONTRIBUTING.md shows lines that {file} does not have, in this order"


def test_every_way_to_add_something_has_its_diff():
    (ways,) = re.findall(r"^## How to add …$(.*?)^## ", GUIDE, re.MULTILINE | re.DOTALL)
    parts = re.split(r"^### How to add an? ", ways, flags=re.MULTILINE)[1:]
    found = [part.partition("\n")[0] for part in parts if "```diff" in part]
    assert found == ["activation", "layer kind", "rule", "option", "command"]


def test_the_guide_fits_on_two_screens():
    lines = GUIDE.count("\n")
    assert lines <= MOST_LINES, "leave the details to docstrings, messages and tests/README.md"
