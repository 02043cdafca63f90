"""A network's layers as a table, markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, fields
from typing import TYPE_CHECKING

from snstat import __version__
from snstat.report.columns import Column
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_columns, print_parts, shown
from snstat.report.text import csv_lines, escaped, markdown_table
from snstat.report.words import SEPARATOR, count
from snstat.results.overview import NETWORK_SCHEMA, LayerRow, Overview

if TYPE_CHECKING:
    from rich.console import Console

HEADERS = tuple(entry.name for entry in fields(LayerRow))
WORDS = ("name", "kind", "sampler")


def print_network(found: Overview, console: Console) -> None:
    """Print a heading and a line for each layer."""
    glyphs = Glyphs.of(console)
    print_parts(heading(found), glyphs, console, style="bold")
    console.print()
    print_columns(shown(_columns(found), glyphs), console)


def network_to_markdown(found: Overview) -> str:
    """Return a heading and a table of the layers."""
    return f"### {escaped(heading(found))}\n\n{markdown_table(_columns(found))}"


def network_to_csv(found: Overview) -> Iterator[str]:
    """Yield the layers as lines of CSV, a header first; sizes of a shape stand between spaces."""
    yield from csv_lines([HEADERS])
    yield from csv_lines(astuple(layer) for layer in found.layers)


def network_to_json(found: Overview) -> str:
    """Return the JSON document `snstat.network/1`."""
    form = {
        "schema": NETWORK_SCHEMA,
        "version": __version__,
        "network": found.form,
        "depth": found.depth,
        "parameters": found.parameters,
        "layers": [dict(zip(HEADERS, astuple(layer), strict=True)) for layer in found.layers],
    }
    return json.dumps(form, allow_nan=False, indent=1) + "\n"


def heading(found: Overview) -> str:
    """Return "encoder · 48 layers · 1,234 parameters"."""
    name = [found.form["name"]] if found.form["name"] else []
    sizes = [count(found.depth, "layer"), count(found.parameters, "parameter")]
    return SEPARATOR.join([*name, *sizes])


def _columns(found: Overview) -> list[Column]:
    cells = {
        "layer": [str(layer.layer) for layer in found.layers],
        "name": [layer.name for layer in found.layers],
        "kind": [layer.kind for layer in found.layers],
        "shape": [" × ".join(map(str, layer.shape)) for layer in found.layers],
        "parameters": [f"{layer.parameters:,}" for layer in found.layers],
        "sampler": [layer.sampler or "" for layer in found.layers],
    }
    return [Column(name, tuple(own), name, words=name in WORDS) for name, own in cells.items()]
