"""Fixed points as JSON: the result of `snstat fixedpoint`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from snstat import __version__
from snstat.files.saved import plain
from snstat.results import FIXEDPOINT_SCHEMA, FixedPointReport, TheoremResult


def reports_to_json(
    reports: Sequence[FixedPointReport], theorems: Sequence[TheoremResult] = ()
) -> str:
    """Return the JSON document of `snstat fixedpoint`."""
    runs = []
    for report in reports:
        run = plain(report)
        run |= run.pop("parameters")
        for key in ("solved", "trajectory"):
            if run[key] is None:
                del run[key]
        domain = run.pop("theorem_domain")
        if report.map == "unit":
            # Domains 3a and 3b belong to one theorem.
            run["theorem_domain"] = None if domain is None else int(domain[0])
        runs.append(run)
    form: dict[str, Any] = {"schema": FIXEDPOINT_SCHEMA, "version": __version__, "runs": runs}
    if theorems:
        form["theorems"] = [_theorem(result) for result in theorems]
    return json.dumps(form, allow_nan=False, indent=1) + "\n"


def _theorem(result: TheoremResult) -> dict[str, Any]:
    form: dict[str, Any] = plain(result)
    form["extremes"] = {
        name: {"value": value, "where": result.place(name)}
        for name, (value, _) in form["extremes"].items()
    }
    return form
