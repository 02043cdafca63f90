"""What weights are, as a table at a terminal, as markdown and as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from snstat.report.columns import Column
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_columns, print_parts, print_wrapped, shown, width_of
from snstat.report.text import csv_lines, escaped, markdown_table
from snstat.report.weights_words import (
    THEOREM,
    columns_of,
    complaints,
    heading,
    skipped_words,
)
from snstat.report.words import listed
from snstat.results import Spread, TensorWeights, Weights

if TYPE_CHECKING:
    from rich.console import Console

# Columns that are shown however narrow the terminal is.
ALWAYS = 4


def print_weights(found: Weights, console: Console) -> None:
    """Print a heading, a line for each matrix with the columns that fit, and what is wrong."""
    glyphs = Glyphs.of(console)
    print_parts(heading(found), glyphs, console, style="bold")
    if found.tensors:
        console.print()
        columns = shown(columns_of(found.tensors), glyphs)
        fitting = _fitting(columns, console.width)
        print_columns(fitting, console)
        console.print()
        if any(column.header == "in theorem 1" for column in fitting):
            print_wrapped(glyphs.text(THEOREM), console, style="dim")
        hidden = [column.header for column in columns if column not in fitting]
        if hidden:
            words = f"Not shown: {listed(hidden)}. Widen the terminal, or use -f csv."
            print_wrapped(glyphs.text(words), console, style="dim")
    for complaint in complaints(found):
        print_wrapped(glyphs.text(f"! {complaint}"), console, style="bold red")
    if skipped_words(found):
        print_wrapped(glyphs.text(skipped_words(found)), console, style="dim")


def _fitting(columns: list[Column], width: int) -> list[Column]:
    """Return the first columns, and of the others those that leave the table within `width`."""
    found = columns[:ALWAYS]
    for column in columns[ALWAYS:]:
        if width_of([*found, column]) <= width:
            found.append(column)
    return found


def weights_to_markdown(found: Weights) -> str:
    """Return a heading, a table of the matrices, and what is wrong."""
    parts = [f"### {escaped(heading(found))}\n"]
    if found.tensors:
        parts.append(markdown_table(columns_of(found.tensors)))
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
            fields["z"] = value[0].z if value else None
        elif key in ("dead_rows", "duplicate_rows", "non_finite"):
            fields[key] = value and value.count
        else:
            fields[key] = value
    return fields
