"""Checks as a JUnit report, which CI systems show among the results of tests.

There is no standard, so this keeps to what all readers share. A check is one test case whether it
passes or fails, under the same name, so that its history can be followed; all findings stand in
one `failure`, because Jenkins reads the first only; and its text holds everything, because GitLab
shows that and not the attributes. Time, file and line are attributes of the test case, as pytest
and GitLab have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from snstat.report.check_words import circumstances, finding_words, rule_words

if TYPE_CHECKING:
    from snstat.results import Check

# All that XML 1.0 has no way to write, and the carriage return, which its readers take for a line
# feed.
_ILLEGAL = re.compile("[^\t\n\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Jenkins takes what stands before the last dot for a package.
CLASS = "snstat.check"


def checks_to_junit(checks: Sequence[Check], seconds: Sequence[float] | None = None) -> str:
    """Return the report, in ASCII: it is right whatever encoding it is written in.

    `seconds` are those that each check took.
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
    """Yield the names, with a number where one comes again: GitLab passes over repeated names."""
    seen: set[str] = set()
    for name in names:
        unique, number = name, 1
        while unique in seen:
            number += 1
            unique = f"{name} ({number})"
        seen.add(unique)
        yield unique


def _legal(text: str) -> str:
    r"""Return `text` with what XML cannot hold spelled out, such as \x1b for an escape."""
    return _ILLEGAL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
