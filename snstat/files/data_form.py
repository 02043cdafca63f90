"""The record of a run's data, parsed from JSON and validated."""

from __future__ import annotations

import math
from typing import Any

from snstat.errors import quoted
from snstat.files.form import FormError, entries_of, entry_of, list_of, number_of
from snstat.results import DataSummary, NormClasses
from snstat.values import integer, number

# More classes than any version writes.
MOST_CLASSES = 256
MOST_SAMPLES = 2**63
# Relative tolerance between means of squares in a file, for the rounding of their sums.
AGREE = 1e-9


def parse_data(form: Any, batch: int) -> DataSummary:
    """Return the data record in `form`. Each trial takes `batch` samples."""
    entries = entries_of("data", form)
    largest = number_of("data.largest", entry_of("data", entries, "largest"))
    if largest < 0:
        raise FormError(f"data.largest is {largest:g}, but must be at least 0")
    norms = entry_of("data", entries, "norms")
    classes = None if norms is None else _norms(entries_of("norms", norms), batch)
    spread = entries.get("cosine_spread")
    if spread is None:
        return DataSummary(largest, classes)
    return DataSummary(largest, classes, _real("data.cosine_spread", spread, 1.0))


def _norms(entries: dict[str, Any], batch: int) -> NormClasses:
    columns = {name: list_of(name, entries) for name in ("second_moment", "count", "cosine")}
    size = len(columns["count"])
    if not 1 <= size <= MOST_CLASSES or any(len(column) != size for column in columns.values()):
        raise FormError(
            f"norms have {', '.join(f'{len(value)} of {name}' for name, value in columns.items())},"
            f" but must have equally many of each, 1 to {MOST_CLASSES}"
        )
    seconds = tuple(_real("second_moment", value, math.inf) for value in columns["second_moment"])
    count = tuple(integer("count", value, 1, MOST_SAMPLES) for value in columns["count"])
    cosine = tuple(_cosines(row, size) for row in columns["cosine"])
    largest = _real("norms.largest", entry_of("norms", entries, "largest"), math.inf)
    if list(seconds) != sorted(seconds):
        raise FormError("second_moment of norms does not increase from class to class")
    if largest < seconds[-1] * (1.0 - AGREE):
        raise FormError(f"norms.largest is {largest:g}, but must be at least {seconds[-1]:g}")
    if seconds.count(0.0) > 1 or largest == 0:  # samples of zeros are alike: one class of several
        raise FormError("norms have several classes of zeros, or no others")
    if sum(count) < batch:
        raise FormError(f"norms count {sum(count)} samples, but the batch has {batch}")
    return NormClasses(seconds, count, cosine, largest)


def _cosines(row: Any, size: int) -> tuple[float, ...]:
    if not isinstance(row, list) or len(row) != size:
        raise FormError(f"a row of cosine is {quoted(row)}, but must be a list of {size}")
    values = tuple(number_of("cosine", value) for value in row)
    for value in values:
        if abs(value) > 1:
            raise FormError(f"cosine of norms is {value:g}, but must be from -1 to 1")
    return values


def _real(name: str, value: Any, high: float) -> float:
    if isinstance(value, str | bool):  # float() would accept them
        raise FormError(f"{name} is {quoted(value)}, but must be a number")
    return number(name, value, 0.0, high)
