"""The widths of a stack's layers, written "784,512*3,10": parsed, validated, and written again.

Runs of equal widths are kept as (units, layers), so that depth is free.
"""

from __future__ import annotations

import operator
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, groupby

import numpy as np

from snstat.errors import InvalidValueError, quoted
from snstat.limits import MAX_DEPTH, MAX_WIDTH
from snstat.values import whole

Runs = tuple[tuple[int, int], ...]

# Theory and simulation take one step or more for each run.
MAX_RUNS = 10_000
FORM = "units of the input and of each layer, such as 784,512*3,10"
# A single asterisk, not the ** of 2**10.
_TIMES = re.compile(r"(?<!\*)\*(?!\*)")
_SHOWN = 60


def parse_widths(widths: object) -> tuple[int, Runs]:
    """Return the units of the input and the runs (units, layers) of the layers after it.

    `widths` is a string such as "784,512*3,10" or a sequence of whole numbers. In the string,
    512*3 means 512,512,512, and a number may be written 1e3 or 2**10. Raises InvalidValueError for
    anything else, for no layer, and beyond MAX_WIDTH, MAX_DEPTH or MAX_RUNS.
    """
    if isinstance(widths, str):
        entries = [_entry(entry, widths) for entry in widths.split(",")]
    elif isinstance(widths, Sequence | np.ndarray) and not isinstance(widths, bytes):
        entries = [(_whole(entry, widths), 1) for entry in widths]
    else:
        raise _error(widths, FORM)
    runs = joined(entries)
    if not runs or sum(times for _, times in runs) < 2:
        raise _error(widths, "units of the input and of at least one layer", FORM)
    depth = sum(times for _, times in runs) - 1
    if depth > MAX_DEPTH:
        raise _error(widths, f"at most {MAX_DEPTH:,} layers")
    if len(runs) > MAX_RUNS:
        raise _error(widths, f"at most {MAX_RUNS:,} changes of width")
    (first, times), *others = runs
    return first, tuple(([(first, times - 1)] if times > 1 else []) + others)


def write_widths(inputs: int, runs: Iterable[tuple[int, int]]) -> str:
    """Return the string that `parse_widths` reads as `inputs` and `runs`."""
    entries = joined([(inputs, 1), *runs])
    return ",".join(str(units) if times == 1 else f"{units}*{times}" for units, times in entries)


def joined(runs: Iterable[tuple[int, int]]) -> Runs:
    """Return `runs` with adjacent runs of equal width merged."""
    groups = groupby(runs, key=lambda run: run[0])
    return tuple((units, sum(times for _, times in group)) for units, group in groups)


def width_at(runs: Runs, index: int) -> int:
    """Return the units of layer `index` (1..depth), or of the last layer beyond the depth."""
    return runs[min(bisect_left(_ends(runs), index), len(runs) - 1)][0]


def end_of_run(runs: Runs, index: int) -> int:
    """Return the last layer of the run that contains layer `index` (1..depth)."""
    ends = _ends(runs)
    return ends[bisect_left(ends, index)]


def shortened(runs: Runs, depth: int) -> Runs:
    """Return the runs of the first `depth` layers, at most as many as `runs` have."""
    last = bisect_left(_ends(runs), depth)
    begun = _ends(runs)[last - 1] if last else 0
    return (*runs[:last], (runs[last][0], depth - begun))


@lru_cache(maxsize=16)
def _ends(runs: Runs) -> tuple[int, ...]:
    """Return the last layer of every run."""
    return tuple(accumulate(times for _, times in runs))


def _entry(text: str, widths: object) -> tuple[int, int]:
    units, *times = _TIMES.split(text.strip())
    if not units or len(times) > 1:
        raise _error(widths, FORM, f"{quoted(text)} is not a number of units")
    repeated = whole("widths", times[0]) if times else 1
    if not 1 <= repeated <= MAX_DEPTH + 1:
        raise _error(widths, f"repetitions from 1 to {MAX_DEPTH:,}", f"one is {quoted(repeated)}")
    return _bounded(whole("widths", units), widths), repeated


def _whole(value: object, widths: object) -> int:
    try:
        units = operator.index(value)  # type: ignore[arg-type]  # a TypeError is the answer here
    except TypeError:
        raise _error(widths, FORM, f"{quoted(value)} is not a number of units") from None
    if isinstance(value, bool):
        raise _error(widths, FORM, f"{quoted(value)} is not a number of units")
    return _bounded(units, widths)


def _bounded(units: int, widths: object) -> int:
    if not 1 <= units <= MAX_WIDTH:
        raise _error(widths, f"units from 1 to {MAX_WIDTH:,}", f"one is {quoted(units)}")
    return units


def _error(widths: object, bound: str, remedy: str = "") -> InvalidValueError:
    text = str(widths)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return InvalidValueError("widths", text, bound, remedy)
