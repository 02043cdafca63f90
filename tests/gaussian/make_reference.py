"""Write reference.json and pair_reference.json: expectations by mpmath, to 25 digits.

Run it by hand when an activation is added: `python -m tests.gaussian.make_reference NAME` adds the
rows of that one to reference.json, and without a name all are computed (some minutes). The tests
recompute a sample of the rows, so a wrong file cannot pass.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np

from tests.gaussian import oracle, pair_oracle

REFERENCE = Path(__file__).with_name("reference.json")
STRICT = [(m, v) for m in (-10.0, 0.0, 10.0) for v in (0.01, 50.0)]
WIDE = [(m, v) for m in (-50.0, 0.0, 50.0) for v in (1e-6, 1e4)]
TAILS = [(-10.0, 0.16), (-10.0, 1.0), (10.0, 0.2), (-50.0, 4.0), (-20.0, 0.5), (-50.0, 37.0)]
DIGITS = 120  # 1 − tanh(50) is 1e-43; its square must not be lost in the subtraction


def points() -> list[tuple[float, float]]:
    """Return the corners, hard cases and seeded random points of both ranges."""
    random = np.random.default_rng(1706)
    rows = [*STRICT, *WIDE, *TAILS, (0.0, 1.0), (-2.5, 3.0)]
    rows += [
        (round(random.uniform(-10, 10), 3), float(f"{10 ** random.uniform(-2, 1.69):.4g}"))
        for _ in range(12)
    ]
    rows += [
        (round(random.uniform(-50, 50), 3), float(f"{10 ** random.uniform(-6, 4):.4g}"))
        for _ in range(12)
    ]
    return rows


def rows_of(names: Iterable[str]) -> list[list[Any]]:
    """Return the rows of activations, point by point."""
    with mp.workdps(DIGITS):
        return [
            [name, *point, *(mp.nstr(value, 25) for value in oracle.moments(name, *point))]
            for point in points()
            for name in names
        ]


def main(names: Sequence[str] = ()) -> None:
    """Compute and write the tables, or only the rows of `names`."""
    if names:
        kept = [row for row in json.loads(REFERENCE.read_text("utf-8")) if row[0] not in names]
        _write("reference.json", [*kept, *rows_of(names)])
        return
    _write("reference.json", rows_of(oracle.FUNCTIONS))
    pairs: list[list[Any]] = []
    with mp.workdps(40):
        for oracle_of, cases in (
            (pair_oracle.piecewise_gap, pair_oracle.PIECEWISE),
            (pair_oracle.smooth_gap, pair_oracle.SMOOTH),
        ):
            pairs += [[*case, mp.nstr(oracle_of(*case), 25)] for case in cases]
    _write("pair_reference.json", pairs)


def _write(name: str, table: list[list[Any]]) -> None:
    text = "[\n" + ",\n".join(json.dumps(row) for row in table) + "\n]\n"
    Path(__file__).with_name(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
