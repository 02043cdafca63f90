"""Runs as text formats: CSV holds everything in full precision, markdown what the table shows."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import escaped as controls_escaped
from snstat.report.columns import PARTS, Layout, columns_of, rows_of
from snstat.report.comparison import comparison_columns
from snstat.report.layouts import measured
from snstat.report.module_words import closing
from snstat.report.network_words import described, network_words, sampling_words
from snstat.report.numbers import Notation
from snstat.report.opening import opening, theory_words
from snstat.report.selection import LOG, LayerSelection
from snstat.results import GRADIENT, MEASURED, OF_POSITIONS

if TYPE_CHECKING:
    from snstat.report.columns import Column
    from snstat.results import Check, FloatArray, Run

PAGE = Layout(Notation.SPACED, dict.fromkeys(("mean", "variance", "cosine", GRADIENT), PARTS))
TRACED = Layout(
    Notation.SPACED,
    dict.fromkeys(("second_moment", "cosine", "position_cosine", GRADIENT), PARTS),
)
# The columns of CSV that say what a layer is, those of a call of a module, and those after an
# estimate.
ROW = ("name", "kind", "shape")
# How the weights of one layer were sampled; "sampler" is that of the network.
LAYER_SAMPLER = "layer_sampler"
CALL = ("path", "call", "output", "trials", "dtype", "same_as")
AFTER = ("stderr", "theory", "expected", "neglected", "z")


class _LastLine:
    """A file for `csv.writer` that keeps only the line just written, so that lines stream."""

    def __init__(self) -> None:
        self.line = ""

    def write(self, line: str) -> int:
        """Keep `line`."""
        self.line = line
        return len(line)


def csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield `rows` as lines of CSV, each with its line feed.

    Floats keep full precision, booleans are true or false, and missing (None, NaN) or infinite
    values are empty.
    """
    sink = _LastLine()
    writer = csv.writer(sink, lineterminator="\n")
    for row in rows:
        writer.writerow([_field(value) for value in row])
        yield sink.line


def markdown_table(columns: Sequence[Column]) -> str:
    """Return columns as a markdown table."""
    rules = [":---" if column.words else "---:" for column in columns]
    lines = [[column.header for column in columns], rules]
    lines += [list(row) for row in zip(*(column.cells for column in columns), strict=True)]
    return "".join("| " + " | ".join(escaped(cell) for cell in line) + " |\n" for line in lines)


def escaped(text: str) -> str:
    """Return `text` on one line, with markdown escaped, for table cells and prose."""
    flat = " ".join(text.split())
    for letter in "\\|`*_<[&~":
        flat = flat.replace(letter, "\\" + letter)
    return flat


def runs_to_csv(runs: Sequence[Run]) -> Iterator[str]:
    """Yield all layers of `runs` as lines of CSV, a header first.

    The columns are run (counted from 1), the description of the network and its sampling, layer,
    its name, kind and shape, how its own weights were sampled (of a network of layers), which call
    of a module it is (if one was traced), finite, and for every statistic its estimate (under the
    statistic's name), `_stderr`, `_theory`, `_expected`, `_neglected` and `_z`. If a run kept its
    trials there is a column trial too, empty in these rows, and one row more for every layer and
    trial with its values alone.
    """
    return csv_lines(_csv_rows(runs))


def runs_to_markdown(
    runs: Sequence[Run],
    layers: LayerSelection = LOG,
    columns: Sequence[str] = (),
    checks: Sequence[Check | None] = (),
) -> str:
    """Return `runs` as markdown: for each a heading, the verdict and a table.

    `columns` are the statistics to show, `checks` the verdicts on the runs. Raises
    InvalidValueError when a selected layer is beyond a stack's depth, or none of `columns` was
    measured.
    """
    parts = []
    for run, check in zip(runs, checks or [None] * len(runs), strict=True):
        rows = rows_of(run, layers.of(run.subject))
        part = f"### {escaped(network_words(run.subject))}\n\n"
        part += f"{escaped(sampling_words(run.subject, run.simulation))}\n\n"
        for sentence in opening(run, check):
            part += f"{'  ' * sentence.indent}- {escaped(sentence.text)}\n"
        if rows:
            shown = columns_of(run, rows, page_layout(run, columns))
            part += f"\n{escaped(theory_words(run, shown))}\n\n{markdown_table(titled(shown))}"
        if run.module is not None:
            part += "".join(f"\n- {escaped(text)}" for text in closing(run.module))
        parts.append(part.rstrip("\n") + "\n")
    if len(runs) > 1:
        table = markdown_table(comparison_columns(runs, PAGE))
        parts.append(f"### Side by side, at the last layer\n\n{table}")
    return "\n".join(parts)


def page_layout(run: Run, columns: Sequence[str] = ()) -> Layout:
    """Return the layout of a page, which has room for all requested columns."""
    if not columns:
        return PAGE if run.module is None else TRACED
    return Layout(PAGE.notation, dict.fromkeys(measured(run, columns), PARTS))


def titled(columns: Sequence[Column]) -> list[Column]:
    """Return the columns with headers that name their statistic, and without alignment."""
    result = []
    for column in columns:
        name = column.group.replace("_", " ")
        header = {
            "": column.header,
            "e": f"{name} ± stderr",
            "t": f"{name} theory",
            "z": f"{name} z",
        }
        cells = tuple(map(str.strip, column.cells))
        result.append(replace(column, header=header[column.part], cells=cells))
    return result


def _csv_rows(runs: Sequence[Run]) -> Iterator[Sequence[object]]:
    """Yield the header and then one row for every layer of every run."""
    names = [*MEASURED]
    names += [
        name for name in (*OF_POSITIONS, GRADIENT) if any(name in run.statistics for run in runs)
    ]
    traced = any(run.module is not None for run in runs)
    kept = any(run.statistics[names[0]].trials is not None for run in runs)
    fields = [*dict.fromkeys(field for run in runs for field in _description(run))]
    place_of = [*ROW, LAYER_SAMPLER, *(CALL if traced else ())]
    header = ["run", *fields, "layer", *place_of, *(["trial"] if kept else []), "finite"]
    for name in names:
        header += [name, *(f"{name}_{part}" for part in AFTER)]
    yield header
    for number, run in enumerate(runs, 1):
        description = [_description(run).get(field) for field in fields]
        columns: list[FloatArray | None] = []
        for name in names:
            found = run.statistics.get(name)
            parts = ("estimate", *AFTER)
            columns += [None if found is None else getattr(found, part) for part in parts]
        for layer, finite in enumerate(run.finite.tolist()):
            numbers = [None if column is None else float(column[layer]) for column in columns]
            row = run.row(layer)
            place = [number, *description, layer, *(row[field] for field in ROW), row.sampler]
            if traced:
                call = run.call(layer)
                place += [None if call is None else call[field] for field in CALL]
            yield [*place, *([None] if kept else []), finite, *numbers]
            for trial, values in enumerate(_trials(run, names, layer)):
                yield [*place, trial, finite, *values]


def _trials(run: Run, names: Sequence[str], layer: int) -> Iterator[list[float | None]]:
    """Yield for each trial that was kept its values at `layer` under the columns of CSV, where the
    other parts of a statistic are empty."""
    kept = [run.statistics[name].trials if name in run.statistics else None for name in names]
    for trial in range(0 if kept[0] is None else len(kept[0])):
        row: list[float | None] = []
        for values in kept:
            row += [None if values is None else float(values[trial, layer]), *[None] * len(AFTER)]
        yield row


def _description(run: Run) -> dict[str, object]:
    """Return the description of the network and its sampling in a row, without `drawn`."""
    fields = {**described(run.subject), **dict(run.simulation)}
    fields.pop("drawn", None)
    return fields


def _field(value: object) -> object:
    """Return `value` as a CSV field."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float):
        # float() because numpy's scalars are floats too, but their repr includes the type.
        return repr(float(value)) if math.isfinite(value) else ""
    if isinstance(value, str):
        # The name of a file may contain control characters.
        return controls_escaped(value)
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if value is None else value
