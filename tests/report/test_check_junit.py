"""The JUnit report contains all text and the attributes that CI systems use."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snstat.report.check_junit import checks_to_junit
from snstat.results import Check
from tests.report.builders import make_check, make_checks
from tests.report.strategies import checks, hostile_checks


def cases(report: str) -> list[ET.Element]:
    """Return the test cases of a report after checking its counts."""
    root = ET.fromstring(report)  # noqa: S314  # our own report
    (suite,) = root
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "snstat")
    found = list(suite)
    assert {case.tag for case in found} <= {"testcase"}
    failed = [case for case in found if case.find("failure") is not None]
    for element in (root, suite):
        assert element.get("tests") == str(len(found))
        assert element.get("failures") == str(len(failed))
        assert element.get("errors") == "0"
    return found


def legal(text: str) -> str:
    """Return `text` in the characters of XML 1.0 (production 2); others are escaped as in
    Python."""

    def holds(code: int) -> bool:
        return (
            code in {0x9, 0xA}
            or 0x20 <= code <= 0xD7FF
            or 0xE000 <= code <= 0xFFFD
            or code >= 0x10000
        )

    return "".join(
        letter if holds(ord(letter)) else letter.encode("unicode_escape").decode()
        for letter in text
    )


def test_a_check_is_one_case_whether_it_passes_or_fails() -> None:
    failed, passed, other = cases(checks_to_junit(make_checks()))
    assert {case.get("classname") for case in (failed, passed, other)} == {"snstat.check"}
    assert [case.get("name") for case in (failed, passed, other)] == ["default", "encoder", "head"]
    (failure,) = failed
    assert dict(failure.attrib) == {
        "type": "gradient-exploding",
        "message": "gradient-exploding: SN202 gradient-exploding, SN301 inputs-collapse",
    }
    lines = (failure.text or "").splitlines()
    assert lines[0].startswith("SN202 gradient-exploding, layer 313: squared gradients grow ×1.9")
    assert lines[0].endswith("use at most 199 layers, or --weight-gain 0.966 (now 1)")
    assert lines[1].startswith("SN301 inputs-collapse, layer 38: inputs collapse")
    assert lines[2] == "SELU · 512 layers of 1,024 · lecun_normal (gain 1)"
    assert lines[-2] == "declared at pyproject.toml:41"
    assert lines[-1].startswith("note: SN501 leaves out")
    (output,) = passed
    assert output.tag == "system-out"
    assert (output.text or "").splitlines()[0] == "self-normalizing"
    assert "compared with base.json" in (output.text or "")


def test_attributes_are_known_to_readers() -> None:
    allowed = {
        "testsuites": {"name", "time", "tests", "failures", "errors"},
        "testsuite": {"name", "time", "tests", "failures", "errors", "skipped"},
        "testcase": {"name", "time", "classname", "file", "line"},
        "failure": {"type", "message"},
        "system-out": set(),
    }
    made = make_checks()
    report = checks_to_junit(made, [0.25 * number for number in range(len(made))])
    root = ET.fromstring(report)  # noqa: S314  # our own report
    for element in root.iter():
        assert set(element.attrib) <= allowed[element.tag]
    total = 0.25 * len(made) * (len(made) - 1) / 2
    assert float(root.get("time", "nan")) == pytest.approx(total, abs=5e-4)
    for number, (check, case) in enumerate(zip(made, cases(report), strict=True)):
        assert float(case.get("time", "nan")) == pytest.approx(0.25 * number, abs=5e-4)
        source = check.source
        place = (None, None) if source is None else (source.path, str(source.line))
        assert (case.get("file"), case.get("line")) == place


def test_repeated_names_are_numbered() -> None:
    names = ["a", "a (2)", "a", "a", "b"]
    report = checks_to_junit([make_check(name=name) for name in names])
    seen = [case.get("name") for case in cases(report)]
    assert seen == ["a", "a (2)", "a (3)", "a (4)", "b"]


def test_no_checks_give_an_empty_suite() -> None:
    assert cases(checks_to_junit([])) == []


@given(st.lists(checks(), min_size=1, max_size=3, unique_by=lambda check: check.name))
@example(hostile_checks())
def test_any_text_is_read_back(drawn: list[Check]) -> None:
    report = checks_to_junit(drawn)
    assert report.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    assert report.isascii()
    for check, case in zip(drawn, cases(report), strict=True):
        assert case.get("name") == legal(check.name)
        (told,) = case
        text = told.text or ""
        for finding in check.findings:
            assert f"{finding.code} {finding.name}, layer 313: {legal(finding.message)}" in text
        for note in check.notes:
            assert f"note: {legal(note)}" in text
        if check.source is not None:
            assert f"declared at {legal(check.source.path)}:{check.source.line}" in text
        assert (told.tag == "failure") == bool(check.findings)
