"""Checks in a terminal: the verdict comes first, and no word is lost at any width."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from snstat.report.check_table import print_checks
from snstat.report.check_words import circumstances, complaint
from snstat.report.glyphs import Glyphs
from snstat.results import Check, Source
from tests.report.builders import make_check, make_checks, make_finding
from tests.report.strategies import checks, hostile_checks


def show(checks: Sequence[Check], width: int = 80, encoding: str = "utf-8") -> str:
    """Return the output on a plain console of `width` columns."""
    buffer = io.BytesIO()
    with io.TextIOWrapper(buffer, encoding=encoding, write_through=True) as stream:
        print_checks(checks, Console(file=stream, width=width))
        return buffer.getvalue().decode(encoding)


def squeezed(text: str) -> str:
    return "".join(text.split())


def words_of(check: Check) -> list[str]:
    """Return all text that the report must contain."""
    words = [f"{check.name}: {check.verdict}", *circumstances(check), *check.notes]
    for finding in check.findings:
        where = "" if finding.layer is None else f", layer {finding.layer}"
        words.append(f"{finding.code} {finding.name}{where}: {complaint(finding)}")
        words.append(finding.remedy)
    return words


def test_the_report_starts_with_the_verdict() -> None:
    assert show(make_checks()[:1]).splitlines() == [
        "FAILED default: gradient-exploding",
        "  SELU · 512 layers of 1,024 · lecun_normal (gain 1)",
        "  8 trials × batch 64 · float32, dense, seed 0",
        "  declared at pyproject.toml:41",
        "  SN202 gradient-exploding, layer 313: squared gradients grow ×1.9e+15 from the",
        "        last layer back to the input, and pass the bound of ×1e+06 at layer 313",
        "        → use at most 199 layers, or --weight-gain 0.966 (now 1)",
        "  SN301 inputs-collapse, layer 38: inputs collapse: any two have cosine 0.9991",
        "        at layer 38, at or above the bound 0.999; no weight gain or depth was",
        "        found that would help",
        "  note: SN501 leaves out kurtosis",
    ]


def test_several_checks_are_counted_at_the_end() -> None:
    lines = show(make_checks()).splitlines()
    assert lines[-2:] == ["", "2 of 3 checks passed; failed: default."]
    assert [line for line in lines if line.startswith(("FAILED", "passed"))] == [
        "FAILED default: gradient-exploding",
        "passed encoder: self-normalizing",
        "passed head: stable",
    ]
    assert "  compared with base.json" in lines
    assert "checks passed" not in show(make_checks()[1:2])
    assert show(make_checks()[1:]).endswith("2 of 2 checks passed.\n")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_nothing_is_cut_or_too_wide(width: int) -> None:
    text = show(make_checks(), width)
    assert max(map(cell_len, text.splitlines())) <= width
    for check in make_checks():
        for words in words_of(check):
            assert squeezed(words) in squeezed(text)


@given(st.lists(checks(), min_size=1, max_size=3), st.integers(40, 200))
@example(hostile_checks(), 40)
def test_any_text_is_shown_completely(drawn: list[Check], width: int) -> None:
    text = show(drawn, width)
    assert max(map(cell_len, text.split("\n"))) <= width
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    for check in drawn:
        for words in words_of(check):
            assert squeezed(Glyphs().text(words)) in squeezed(text)


@given(st.lists(checks(), min_size=1, max_size=2))
@example(hostile_checks())
def test_a_console_without_unicode_gets_ascii(drawn: list[Check]) -> None:
    assert show(drawn, encoding="ascii").isascii()


def test_ascii_keeps_the_layout() -> None:
    lines = show(make_checks(), encoding="ascii").splitlines()
    assert max(map(len, lines)) <= 80
    assert "        -> use at most 199 layers, or --weight-gain 0.966 (now 1)" in lines
    assert "  SELU - 512 layers of 1,024 - lecun_normal (gain 1)" in lines


@pytest.mark.parametrize(("separator", "kept"), [("; ", "bad"), (": ", "bad"), (" ", "bad")])
def test_the_remedy_has_its_own_line(separator: str, kept: str) -> None:
    finding = make_finding(layer=None, message=f"bad{separator}use more", remedy="use more")
    lines = show([make_check(finding)]).splitlines()
    assert lines[-2:] == [f"  SN202 gradient-exploding: {kept}", "        → use more"]


def test_a_remedy_not_at_the_end_of_the_message_follows_the_whole_message() -> None:
    finding = make_finding(layer=None, message="use more, it is bad", remedy="use more")
    lines = show([make_check(finding)]).splitlines()
    assert lines[-2:] == [
        "  SN202 gradient-exploding: use more, it is bad",
        "        → use more",
    ]


def test_colour_follows_the_terminal_and_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def colourful() -> str:
        buffer = io.StringIO()
        terminal = Console(file=buffer, width=80, force_terminal=True, color_system="standard")
        print_checks([make_check(make_finding()), make_check()], terminal)
        return buffer.getvalue()

    assert "\x1b[1;31mFAILED " in colourful()
    assert "\x1b[1;32mpassed " in colourful()
    assert "\x1b" not in show(make_checks())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1mFAILED " in colourful()
    assert "\x1b[1;3" not in colourful()


def test_control_characters_of_a_path_are_escaped() -> None:
    check = make_check(source=Source("a\x1b[31m\n.toml", 3))
    assert "declared at a\\x1b[31m\\n.toml:3" in show([check])


def test_quiet_reports_failed_checks_only() -> None:
    buffer = io.StringIO()
    console = Console(file=buffer, width=80, no_color=True)
    print_checks(make_checks(), console, quiet=True)
    text = buffer.getvalue()
    assert text.startswith("FAILED default")
    assert "passed encoder" not in text
    assert text.endswith("2 of 3 checks passed; failed: default.\n")
    passed = [check for check in make_checks() if check.passed]
    print_checks(passed, console, quiet=True)
    assert buffer.getvalue() == text
