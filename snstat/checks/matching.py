"""The layers of a baseline beside those of a run: networks of any layers are matched by name, those
without a name in order, and rows of traced modules by path, call and output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from snstat.checks.alignment import Alignment
from snstat.errors import escaped
from snstat.results import BoolArray, FloatArray, Run, Statistic
from snstat.results.base import IntArray

# Names that a note lists.
MOST_NAMED = 3


def matched(run: Run, baseline: Run) -> Run:
    """Return the baseline with the layers of `run` in their order: those of one name and kind, or,
    without a name, of one kind at one place in the order (see Alignment).

    Layers that the baseline lacks have the estimates of `run` without an error, so that they are
    equal and cannot be compared. Stacks are matched by number, and stay as they are. The layers of
    a network beside a stack, which has no names, are matched by number and kind.
    """
    found = places(run, baseline)
    if found is None:
        return baseline
    there = found >= 0
    subject = baseline.subject
    if run.module is not None and baseline.module is not None:
        theirs = baseline.module.rows
        rows = [
            theirs[place - 1] if place > 0 else own
            for place, own in zip(found[1:], run.module.rows, strict=True)
        ]
        subject = replace(baseline.module, rows=tuple(rows))

    def column(values: FloatArray, own: FloatArray | float = math.nan) -> FloatArray:
        return np.where(there, values[found], own)

    statistics = {
        name: Statistic(
            column(was.estimate, run.statistics[name].estimate),
            column(was.stderr),
            column(was.theory),
            column(was.expected),
            column(was.neglected),
            logarithmic=was.logarithmic,
            scored=was.scored,
        )
        for name, was in baseline.statistics.items()
        if name in run.statistics
    }
    finite = np.where(there, baseline.finite[found], run.finite)
    return replace(
        baseline, subject=subject, statistics=MappingProxyType(statistics), finite=finite
    )


def left_out(run: Run, beside: Run, layers: BoolArray, others: Mapping[str, BoolArray]) -> Run:
    """Return the matched baseline `beside` with the estimates of `run`, without an error, in these
    `layers`, (layers,), so that they are not compared; `others` are those of single statistics."""
    statistics = {}
    for name, was in beside.statistics.items():
        out, own = others.get(name, layers), run.statistics[name]
        estimate, stderr = np.where(out, own.estimate, was.estimate), was.stderr.copy()
        stderr[out] = math.nan
        statistics[name] = replace(was, estimate=estimate, stderr=stderr)
    return replace(beside, statistics=MappingProxyType(statistics))


def unmatched(run: Run, baseline: Run) -> list[str]:
    """Return a note on the layers that one of two networks has and the other has not."""
    found = places(run, baseline)
    if found is None:
        return []
    numbered = _numbered(run, baseline)
    theirs = np.isin(np.arange(len(baseline.finite)), found)
    parts = []
    for own, layers, where in (
        (run, np.flatnonzero(found < 0), "not in the baseline"),
        (baseline, np.flatnonzero(~theirs), "only in the baseline"),
    ):
        names = [_shown(_key(own, layer, numbered=numbered)) for layer in layers[:MOST_NAMED]]
        if names:
            more = len(layers) - MOST_NAMED
            listed = ", ".join(names) + (f" and {more:,} more" if more > 0 else "")
            parts.append(f"{listed} {where}")
    how = f"layers are matched by {'number' if numbered else 'name'} and kind"
    if run.module is not None:
        how = "rows are matched by path, call and output"
    return [f"{how}: {'; '.join(parts)}"] if parts else []


def places(run: Run, baseline: Run) -> IntArray | None:
    """Return for each layer of the run that of the baseline, −1 for none; None to match numbers."""
    if not (_named(run) or _named(baseline)):
        return None
    numbered = _numbered(run, baseline)
    theirs: dict[tuple[str | None, ...], int] = {
        _key(baseline, layer, numbered=numbered): layer for layer in range(len(baseline.finite))
    }
    keys: list[tuple[str | None, ...]] = [
        _key(run, layer, numbered=numbered) for layer in range(len(run.finite))
    ]
    if run.network is not None and baseline.network is not None:
        there = Alignment(run.network.form, baseline.network.form)
        keys = [(there.name(str(name)), *kind) for name, *kind in keys]
    return np.array([theirs.get(key, -1) for key in keys])


def _named(run: Run) -> bool:
    """Return whether the layers of a run have names."""
    return run.network is not None or run.module is not None


def _numbered(run: Run, baseline: Run) -> bool:
    """Return whether one of the runs is a stack. What its rows are called is their number from 1
    on, and layers of a network that have no name are called by their place from 0 on."""
    return not (_named(run) and _named(baseline))


def _key(run: Run, layer: int, *, numbered: bool) -> tuple[str, ...]:
    """Return what a layer is known by: its name, or its number, and kind; that of a module its
    path, call, output and kind, as its name depends on how often it is called."""
    row, call = run.row(layer), run.call(layer)
    if call is not None:
        return (call.path, f"#{call.call}", call.output, call.kind)
    return (str(layer) if numbered else row.name, row.kind)


def _shown(key: tuple[str, ...]) -> str:
    """Return what a note calls a layer."""
    name, *others, _kind = key
    return escaped(name + "".join(word for word in others if word != "#1"))
