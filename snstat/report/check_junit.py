"""Checks as a JUnit report, which CI systems show among the results of tests.

There is no standard, so the report uses only what all readers share. A check is one test case, with
the same name whether it passes or fails, so that its history can be followed. All findings are in
one `failure`, because Jenkins reads only the first. Its text holds everything, because GitLab shows
the text and not the attributes. Time, file and line are attributes of the test case, as in pytest
and GitLab.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from snstat.report.check_words import circumstances, finding_words, rule_words

if TYPE_CHECKING:
    from snstat.results import Check

# Characters that XML 1.0 cannot represent, and the carriage return, which parsers turn into a line
# feed.
_ILLEGAL = re.compile("[^\t\n\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Jenkins takes the part before the last dot as the package.
CLASS = "snstat.check"


def checks_to_junit(checks: Sequence[Check], seconds: Sequence[float] | None = None) -> str:
    """Return the report in ASCII, which is valid in any encoding.

    `seconds` is the duration of each check.
    """
    took: Sequence[float | None] = [None] * len(checks) if seconds is None else seconds
    failures = sum(not check.passed for check in checks)
    counts = {"tests": f"{len(checks)}", "failures": f"{failures}", "errors": "0"}
    if seconds is not None:
        counts["time"] = f"{sum(seconds):.3f}"
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": "snstat"} | counts | {"skipped": "0"})
    names = _distinct(check.name for check in checks)
    for check, name, time in zip(checks, names, took, strict=True):
        case = ET.SubElement(suite, "testcase", classname=CLASS, name=_legal(name))
        if time is not None:
            case.set("time", f"{time:.3f}")
        if check.source is not None:
            case.set("file", _legal(check.source.path))
            case.set("line", f"{check.source.line}")
        about = [*circumstances(check), *(f"note: {note}" for note in check.notes)]
        if check.passed:
            ET.SubElement(case, "system-out").text = _legal("\n".join((check.verdict, *about)))
            continue
        message = f"{check.verdict}: {', '.join(map(rule_words, check.findings))}"
        failure = ET.SubElement(case, "failure", type=check.verdict, message=_legal(message))
        failure.text = _legal("\n".join((*map(finding_words, check.findings), *about)))
    ET.indent(root, " ")
    body = ET.tostring(root, encoding="us-ascii", xml_declaration=False).decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _distinct(names: Iterable[str]) -> Iterator[str]:
    """Yield the names, with a number on repeated ones, which GitLab would ignore."""
    seen: set[str] = set()
    for name in names:
        unique, number = name, 1
        while unique in seen:
            number += 1
            unique = f"{name} ({number})"
        seen.add(unique)
        yield unique


def _legal(text: str) -> str:
    r"""Return `text` with escapes for what XML cannot represent, such as \x1b."""
    return _ILLEGAL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
