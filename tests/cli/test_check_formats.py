"""Every output format of a check is available by name."""

from __future__ import annotations

import io
import json
import sys
from xml.etree import ElementTree as ET

import pytest

from snstat.cli.check_formats import FORMATS, formatted
from tests.report.builders import make_checks

STARTS = {
    "table": "FAILED default: gradient-exploding\n",
    "json": "{",
    "junit": "<?xml ",
    "github": "::error file=",
    "markdown": "### snstat check failed",
}


def test_the_names_match_the_contract() -> None:
    assert FORMATS == ("table", "json", "junit", "github", "markdown")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("file", [False, True])
def test_each_format_ends_with_one_line_feed(form: str, file: bool) -> None:
    text = formatted(make_checks(), form, file=file)
    assert text.startswith(STARTS[form])
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_machine_readable_formats_are_ascii() -> None:
    assert json.loads(formatted(make_checks(), "json", file=False).encode("ascii"))
    assert ET.fromstring(formatted(make_checks(), "junit", file=False).encode("ascii"))  # noqa: S314  # our own


def test_the_table_fits_its_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "ascii"

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "50")
    drawn = formatted(make_checks(), "table", file=False)
    assert "\x1b[1;31mFAILED" in drawn
    assert drawn.isascii()
    filed = formatted(make_checks(), "table", file=True)
    assert "\x1b" not in filed
    assert 80 < max(map(len, filed.splitlines())) <= 120
