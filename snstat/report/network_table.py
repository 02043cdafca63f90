"""A network's layers as a table, markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat import __version__
from snstat.report.columns import Column
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_columns, print_hidden, print_parts, shown, width_of
from snstat.report.text import csv_lines, escaped, markdown_table
from snstat.report.words import SEPARATOR, count
from snstat.results.overview import NETWORK_SCHEMA, LayerRow, Overview
from snstat.results.theory_end import OF_UNITS

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.results import FloatArray

HEADERS = tuple(entry.name for entry in fields(LayerRow))
WORDS = ("name", "kind", "sampler", "profile")
# Of the signal at every position.
ENDS = ("least", "most")
MOST_BARS = 24
# What leaves a table that is too wide, in this order.
LEAST_NEEDED = ("sampler", "parameters", "kind")
NOTE = (
    "least, most: second moment at a position over the average of its layer (theory); profile:"
    " along the last axis"
)


def print_network(found: Overview, console: Console) -> None:
    """Print a heading and a line for each layer."""
    glyphs = Glyphs.of(console)
    print_parts(heading(found), glyphs, console, style="bold")
    console.print()
    columns, hidden = shown(_columns(found, glyphs), glyphs), []
    for name in LEAST_NEEDED:
        if width_of(columns) > console.width:
            columns = [column for column in columns if column.group != name]
            hidden.append(name)
    print_columns(columns, console)
    notes = _notes(found)
    if hidden or notes:
        console.print()
    for note in notes:
        print_parts(note, glyphs, console)
    print_hidden(hidden, glyphs, console, "Widen the terminal.")


def network_to_markdown(found: Overview) -> str:
    """Return a heading and a table of the layers."""
    table = markdown_table(_columns(found, Glyphs()))
    notes = "".join(f"\n{escaped(note)}\n" for note in _notes(found))
    return f"### {escaped(heading(found))}\n\n{table}{notes}"


def network_to_csv(found: Overview) -> Iterator[str]:
    """Yield the layers as lines of CSV, a header first; sizes of a shape stand between spaces."""
    extreme = () if found.positions is None else ENDS
    yield from csv_lines([(*HEADERS, *extreme)])
    for layer in found.layers:
        share = _share(found, layer.layer)
        ends = () if not extreme else ("", "") if share is None else (share.min(), share.max())
        yield from csv_lines([(*astuple(layer), *ends)])


def network_to_json(found: Overview) -> str:
    """Return the JSON document `snstat.network/1`."""
    form: dict[str, Any] = {
        "schema": NETWORK_SCHEMA,
        "version": __version__,
        "network": found.form,
        "depth": found.depth,
        "parameters": found.parameters,
        "layers": [_row(found, layer) for layer in found.layers],
    }
    if found.ends is not None:
        form["theory_ends"] = [dict(end) for end, _ in found.ends]
    return json.dumps(form, allow_nan=False, indent=1) + "\n"


def _notes(found: Overview) -> list[str]:
    """Return what stands below the layers: how to read columns, how many are left out, and where
    theory ends. That it knows nothing of single units is so in all networks."""
    notes = [] if found.positions is None else [NOTE]
    listed = sum(layer.layer > 0 for layer in found.layers)
    if listed < found.depth:
        notes.append(f"{listed:,} of {count(found.depth, 'layer')} shown; --layers all shows all.")
    for end, place in found.ends or ():
        if end.of != OF_UNITS:
            words = end.words(place)
            notes.append(f"{words[0].upper()}{words[1:]}.")
    return notes


def heading(found: Overview) -> str:
    """Return "encoder · 48 layers · 1,234 parameters"."""
    name = [found.form["name"]] if found.form["name"] else []
    sizes = [count(found.depth, "layer"), count(found.parameters, "parameter")]
    return SEPARATOR.join([*name, *sizes])


def _row(found: Overview, layer: LayerRow) -> dict[str, Any]:
    row = dict(zip(HEADERS, astuple(layer), strict=True))
    if found.positions is not None:
        share = _share(found, layer.layer)
        row["positions"] = None if share is None else share.tolist()
    return row


def _share(found: Overview, layer: int) -> FloatArray | None:
    return None if found.positions is None else found.positions.get(layer)


def _profile(share: FloatArray | None, glyphs: Glyphs) -> str:
    """Return the signal along the last axis of a grid as bars, averages over the other."""
    if share is None:
        return ""
    return glyphs.bars(share.reshape(-1, share.shape[-1]).mean(axis=0), MOST_BARS)


def _columns(found: Overview, glyphs: Glyphs) -> list[Column]:
    cells = {
        "layer": [str(layer.layer) for layer in found.layers],
        "name": [layer.name for layer in found.layers],
        "kind": [layer.kind for layer in found.layers],
        "shape": [" × ".join(map(str, layer.shape)) for layer in found.layers],
        "parameters": [f"{layer.parameters:,}" for layer in found.layers],
        "sampler": [layer.sampler or "" for layer in found.layers],
    }
    if found.positions is not None:
        shares = [_share(found, layer.layer) for layer in found.layers]
        for name, end in zip(ENDS, (np.min, np.max), strict=True):
            cells[name] = ["" if share is None else f"{end(share):.3g}" for share in shares]
        cells["profile"] = [_profile(share, glyphs) for share in shares]
    return [Column(name, tuple(own), name, words=name in WORDS) for name, own in cells.items()]
