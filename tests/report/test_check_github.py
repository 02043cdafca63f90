"""The output for GitHub is parsed as its runner parses it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from snstat.report.check_github import checks_to_github
from snstat.results import Check
from tests.report.builders import make_check, make_checks
from tests.report.strategies import checks, hostile_checks

DATA = {"%0D": "\r", "%0A": "\n"}
PROPERTY = DATA | {"%3A": ":", "%2C": ","}


def unescaped(text: str, escapes: dict[str, str]) -> str:
    # The runner unescapes the percent sign last.
    for escape, letter in escapes.items():
        text = text.replace(escape, letter)
    return text.replace("%25", "%")


def parsed(line: str) -> tuple[str, dict[str, str], str] | None:
    """Return command, properties and data of a line of the log, or None for other lines."""
    text = line.lstrip()
    end = text.find("::", 2)
    if not text.startswith("::") or end < 0:
        assert "##[" not in text  # the older form of commands, recognised anywhere in a line
        return None
    command, _, rest = text[2:end].partition(" ")
    pairs = (pair.split("=", 1) for pair in rest.strip().split(",") if pair)
    properties = {key: unescaped(value, PROPERTY) for key, value in pairs}
    return command, properties, unescaped(text[end + 2 :], DATA)


def utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def lines_of(text: str) -> list[str]:
    *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert rest == ""
    return lines


def test_findings_annotate_the_line_that_declares_the_check() -> None:
    first, second, note, other, summary = lines_of(checks_to_github(make_checks()))
    assert first.startswith(
        "::error file=pyproject.toml,line=41,title=SN202 gradient-exploding (default)::squared"
    )
    assert first.endswith(": use at most 199 layers, or --weight-gain 0.966 (now 1)")
    assert second.startswith("::error file=pyproject.toml,line=41,title=SN301 inputs-collapse (")
    assert note.startswith("::notice file=pyproject.toml,line=41,title=snstat check (default)::SN5")
    assert other.startswith("::notice title=snstat check (encoder)::SN501 leaves out")
    assert summary == (
        "snstat: 2 of 3 checks passed: encoder (self-normalizing), head (stable);"
        " failed: default (gradient-exploding)"
    )


def test_the_summary_is_never_a_command() -> None:
    (line,) = lines_of(checks_to_github([make_check(name="x\n::error::##[error]y")]))
    assert parsed(line) is None
    assert line == "snstat: 1 of 1 check passed: x\\n::error::## [error]y (self-normalizing)"


@given(st.lists(checks(), max_size=3))
@example(hostile_checks())
def test_any_text_stays_on_one_line_and_is_read_back(drawn: list[Check]) -> None:
    *lines, summary = lines_of(checks_to_github(drawn))
    expected = []
    for check in drawn:
        place = {}
        if check.source is not None:
            place = {"file": utf8(check.source.path), "line": str(check.source.line)}
        for finding in check.findings:
            title = f"{finding.code} {finding.name} ({check.name})"
            expected.append(("error", place | {"title": utf8(title)}, utf8(finding.message)))
        for note in check.notes:
            title = f"snstat check ({check.name})"
            expected.append(("notice", place | {"title": utf8(title)}, utf8(note)))
    assert [parsed(line) for line in lines] == expected
    assert parsed(summary) is None
