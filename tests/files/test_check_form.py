"""Checks as JSON contain the whole record, the verdict first, and null for missing numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snstat import __version__
from snstat.files.check_form import checks_to_json
from snstat.results import Check, Finding, Simulation, Source, StackSummary
from tests.files.test_schemas import errors
from tests.report.builders import make_check, make_checks, make_finding
from tests.report.strategies import checks, hostile_checks


def read(text: str) -> dict[str, Any]:
    """Return a document; refuse NaN and Infinity."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


def record_of(form: dict[str, Any]) -> Check:
    """Return the record that a check was written from."""
    form = dict(form)
    assert form.pop("passed") is (form["findings"] == [])
    source, stack = form["source"], form.pop("stack")
    assert form.pop("network")["input"]["channels"] == stack["input_width"]
    assert form.pop("weights") is None
    return Check(
        **form
        | {
            "findings": tuple(Finding(**finding) for finding in form["findings"]),
            "subject": StackSummary(**stack | {"given": tuple(stack["given"]), "drawn": ()}),
            "simulation": Simulation(**form["simulation"]),
            "notes": tuple(form["notes"]),
            "source": None if source is None else Source(**source),
        }
    )


def test_the_document_follows_the_contract() -> None:
    document = read(checks_to_json(make_checks()))
    assert list(document) == ["schema", "version", "passed", "checks"]
    assert document["schema"] == "snstat.check/1"
    assert document["version"] == __version__
    assert document["passed"] is False
    assert list(document["checks"][0])[:4] == ["name", "verdict", "passed", "findings"]
    assert [check["passed"] for check in document["checks"]] == [False, True, True]
    assert errors(document, "check") == []


def test_a_document_passes_if_all_checks_pass() -> None:
    assert read(checks_to_json(make_checks()[1:]))["passed"] is True
    assert read(checks_to_json([])) == {
        "schema": "snstat.check/1",
        "version": __version__,
        "passed": True,
        "checks": [],
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_non_finite_numbers_are_null(value: float | None) -> None:
    finding = make_finding(value=value, bound=value, layer=None)
    document = read(checks_to_json([make_check(finding)]))
    (told,) = document["checks"][0]["findings"]
    assert (told["value"], told["bound"], told["layer"]) == (None, None, None)
    assert errors(document, "check") == []


@given(st.lists(checks(), max_size=3))
@example(hostile_checks())
def test_any_check_is_read_back(drawn: list[Check]) -> None:
    document = read(checks_to_json(drawn))
    assert errors(document, "check") == []
    assert [record_of(form) for form in document["checks"]] == drawn
