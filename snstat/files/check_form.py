"""Checks as JSON: the form of the contract, `snstat.check/1`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from snstat import __version__
from snstat.files.saved import plain
from snstat.files.subject_form import subject_form
from snstat.results import CHECK_SCHEMA, Check


def checks_to_json(checks: Sequence[Check]) -> str:
    """Return the JSON document of `snstat check`; whatever is not finite is null."""
    form = {
        "schema": CHECK_SCHEMA,
        "version": __version__,
        "passed": all(check.passed for check in checks),
        "checks": [_check(check) for check in checks],
    }
    return json.dumps(form, allow_nan=False, indent=1) + "\n"


def _check(check: Check) -> dict[str, Any]:
    """Return the verdict first, and the fields of the record after it."""
    form: dict[str, Any] = plain(check)
    del form["subject"]
    if check.subject.what == "weights":
        form |= {"stack": None, "network": None, "weights": plain(check.subject)}
    elif check.simulation is not None:
        form |= plain(subject_form(check.subject, check.simulation)) | {"weights": None}
    return {"name": form.pop("name"), "verdict": form.pop("verdict"), "passed": check.passed} | form
