"""What weights are, as a table at a terminal, as markdown and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from snstat.errors import UnknownNameError
from snstat.report.columns import Column
from snstat.report.glyphs import Glyphs
from snstat.report.grid import (
    WIDEN,
    print_columns,
    print_hidden,
    print_parts,
    print_wrapped,
    shown,
    width_of,
)
from snstat.report.layouts import ALL_COLUMNS
from snstat.report.text import csv_lines, escaped, markdown_table
from snstat.report.weights_words import (
    NAME,
    SCHEMES,
    THEOREM,
    THEOREM_1,
    columns_of,
    complaints,
    heading,
    skipped_words,
)
from snstat.results import Spread, TensorWeights, Weights

if TYPE_CHECKING:
    from rich.console import Console

# Columns that are shown however narrow the terminal is.
ALWAYS = (NAME, "shape", "gain", SCHEMES)
# Names of initialisers that fit, all of them first, of which fewer are shown in a narrow terminal.
MOST_NAMES = (None, 3, 2, 1)
FURTHER = "further initialisers that fit"


def print_weights(found: Weights, console: Console, names: Sequence[str] = ()) -> None:
    """Print a heading, a line for each matrix with the columns that fit, or those of `names` in as
    many tables as they need, and what is wrong."""
    glyphs = Glyphs.of(console)
    print_parts(heading(found), glyphs, console, style="bold")
    if found.tensors:
        hidden: list[str] = []
        if names:
            columns = shown(_chosen(columns_of(found.tensors), names), glyphs)
            tables = _tables(columns, console.width)
        else:
            fitting, hidden = _fitting(found.tensors, glyphs, console.width)
            tables = [fitting]
        for table in tables:
            console.print()
            print_columns(table, console)
        console.print()
        if any(column.group == THEOREM_1 for table in tables for column in table):
            print_wrapped(glyphs.text(THEOREM), console, style="dim")
        print_hidden(hidden, glyphs, console, WIDEN)
    for complaint in complaints(found):
        print_wrapped(glyphs.text(f"! {complaint}"), console, style="bold red")
    if skipped_words(found):
        print_wrapped(glyphs.text(skipped_words(found)), console, style="dim")


def parse_columns(text: str) -> tuple[str, ...]:
    """Return the columns that `text` names: "all", or a list such as "fan_in,schemes". Raises
    UnknownNameError for others."""
    known = [column.group for column in columns_of([])]
    words = [word.strip().lower().replace("-", "_") for word in text.split(",")]
    if words == [ALL_COLUMNS]:
        return tuple(known)
    for word in words:
        if word not in known:
            raise UnknownNameError("columns", word, [*known, ALL_COLUMNS])
    return tuple(dict.fromkeys(words))


def _chosen(columns: Sequence[Column], names: Sequence[str]) -> list[Column]:
    """Return the names of tensors, and the columns that are asked for, in the usual order."""
    return [column for column in columns if column.group in (NAME, *names)]


def _tables(columns: list[Column], width: int) -> list[list[Column]]:
    """Return the columns as tables within `width`, of which each begins with the first column."""
    first, *others = columns
    tables = [[first]]
    for column in others:
        if len(tables[-1]) > 1 and width_of([*tables[-1], column]) > width:
            tables.append([first])
        tables[-1].append(column)
    return tables


def _fitting(
    tensors: Sequence[TensorWeights], glyphs: Glyphs, width: int
) -> tuple[list[Column], list[str]]:
    """Return the columns that are always shown, and of the others those that leave the table within
    `width`; and the headers of what is not shown. All initialisers that fit are named if there is
    room."""
    for most in MOST_NAMES:
        columns = shown(columns_of(tensors, most), glyphs)
        kept = {*ALWAYS}
        if width_of([column for column in columns if column.group in kept]) <= width:
            break
    for column in columns:
        if width_of([own for own in columns if own.group in {*kept, column.group}]) <= width:
            kept.add(column.group)
    further = most is not None and any(len(tensor.schemes) > most for tensor in tensors)
    hidden = [FURTHER] if further else []
    hidden += [column.header for column in columns if column.group not in kept]
    return [column for column in columns if column.group in kept], hidden


def weights_to_markdown(found: Weights, names: Sequence[str] = ()) -> str:
    """Return a heading, a table of the matrices, and what is wrong."""
    parts = [f"### {escaped(heading(found))}\n"]
    if found.tensors:
        columns = columns_of(found.tensors)
        parts.append(markdown_table(_chosen(columns, names) if names else columns))
    complaint = [f"- {escaped(words)}\n" for words in complaints(found)]
    parts += ["".join(complaint)] if complaint else []
    parts += [f"{escaped(skipped_words(found))}\n"] if found.skipped else []
    return "\n".join(parts)


def weights_to_csv(found: Weights) -> Iterator[str]:
    """Yield the matrices as lines of CSV, a header first."""
    yield from csv_lines([[*_flat(None)]])
    yield from csv_lines([*_flat(tensor).values()] for tensor in found.tensors)


def _flat(tensor: TensorWeights | None) -> dict[str, object]:
    """Return the fields of a row of CSV, with the names of columns alone for None."""
    fields: dict[str, object] = {}
    for key in TensorWeights.__dataclass_fields__:
        value = None if tensor is None else tensor[key]
        if key in ("weight_sum", "weight_square_sum"):
            for part in Spread.__dataclass_fields__:
                fields[f"{key}_{part}"] = None if value is None else value[part]
        elif key == "shape":
            fields[key] = value and " ".join(map(str, value))
        elif key == "schemes":
            fields[key] = value and " ".join(scheme.name for scheme in value)
            scored = [scheme.z for scheme in value or () if scheme.z is not None]
            fields["z"] = value and " ".join(map(str, scored))
        elif key in ("dead_rows", "duplicate_rows", "non_finite"):
            fields[key] = value and value.count
        else:
            fields[key] = value
    return fields
