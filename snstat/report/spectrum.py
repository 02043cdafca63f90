"""Singular values of Jacobians as a table at a terminal, as markdown and as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import escaped as controls_escaped
from snstat.report.columns import Column
from snstat.report.glyphs import Glyphs
from snstat.report.grid import (
    print_columns,
    print_hidden,
    print_parts,
    print_wrapped,
    shown,
    width_of,
)
from snstat.report.network_words import layer_name, network_words, sampling_words
from snstat.report.numbers import CONCISE_NOTE, Notation, alike, as_given, quantity
from snstat.report.text import csv_lines, escaped, markdown_table
from snstat.report.words import count
from snstat.results import NetworkSummary

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.results import LayerSpectrum, Measure, Spectrum

# Measures in the order in which they leave a narrow terminal last.
HEADERS = {
    "mean_square": "mean σ²",
    "largest": "largest σ",
    "near_zero": "near 0",
    "relative_variance": "var σ²/mean²",
}
CSV_COLUMNS = (
    "run", "network", "layer", "name", "trial", "number", "singular_value", "weight", "error",
)  # fmt: skip


def print_spectra(spectra: Sequence[Spectrum], console: Console) -> None:
    """Print for each network a heading and a line for each layer, with the columns that fit."""
    glyphs = Glyphs.of(console)
    for position, found in enumerate(spectra):
        if position:
            console.print()
        print_parts(network_words(found.subject), glyphs, console, style="bold")
        print_parts(sampling_words(found.subject, found.simulation), glyphs, console)
        console.print()
        columns, hidden, notation = _fitting(found, glyphs, console.width)
        print_columns(columns, console)
        console.print()
        notes = [CONCISE_NOTE] if notation is Notation.CONCISE else []
        for sentence in (*sentences(found), *notes):
            print_wrapped(glyphs.text(sentence), console, style="dim")
        print_hidden(hidden, glyphs, console, "Widen the terminal.")


def spectra_to_markdown(spectra: Sequence[Spectrum]) -> str:
    """Return a heading, a table and what its columns mean, for each network."""
    parts = []
    for found in spectra:
        heading = f"### {escaped(network_words(found.subject))}\n"
        sampling = f"{escaped(sampling_words(found.subject, found.simulation))}\n"
        columns = columns_of(found, Notation.SPACED)
        words = f"{escaped(' '.join(sentences(found)))}\n"
        parts += [heading, sampling, markdown_table(columns), words]
    return "\n".join(parts)


def spectra_to_csv(spectra: Sequence[Spectrum]) -> Iterator[str]:
    """Yield every singular value as a line of CSV, a header first; numbers count from 0, the
    largest of a trial. Each has the share of all for which it stands, and what it is off by at
    most, empty for exact ones."""
    yield from csv_lines([CSV_COLUMNS])
    for run, found in enumerate(spectra, 1):
        for layer in found.layers:
            values, known = layer.singular_values, layer.lanczos
            weights = np.full(values.shape, 1.0 / layer.count) if known is None else known.weights
            errors = np.full(values.shape, math.nan) if known is None else known.errors
            own = [run, found.subject.called, layer.layer, layer.name]
            yield from csv_lines(
                [*own, *place, float(value), float(weights[place]), float(errors[place])]
                for place, value in np.ndenumerate(values)
            )


def sentences(found: Spectrum) -> list[str]:
    """Return what the columns mean."""
    bound = as_given(found.near_zero)
    words = [f"near 0: the share of singular values of at most {bound} of the largest."]
    if found.source:
        words.insert(0, f"Jacobians are by the output of {source_words(found)}, not by the input.")
    if found.simulation.batch > 1:
        number = f"{found.simulation.batch:,}"
        words.append(
            f"Samples depend on each other: Jacobians are of the first of {number} by itself, the"
            " others fixed."
        )
    if any(layer.theory.mean_square is not None for layer in found.layers):
        words.append("theory: infinite width.")
    by_lanczos = [layer for layer in found.layers if layer.lanczos is not None]
    if by_lanczos:
        words.append(_words_of_lanczos(by_lanczos, len(found.layers), found.near_zero))
    return words


def source_words(found: Spectrum) -> str:
    """Return which layer the Jacobians are by."""
    number = f"layer {found.source}"
    if not isinstance(found.subject, NetworkSummary):
        return number
    return f"{number} ({controls_escaped(layer_name(found.subject.row(found.source)))})"


def _words_of_lanczos(layers: Sequence[LayerSpectrum], every: int, near_zero: float) -> str:
    """Return what is exact of layers whose singular values the Lanczos method has found."""
    _, starts, steps = layers[0].lanczos.nodes.shape  # type: ignore[union-attr]  # of these
    error = max(layer.largest_error for layer in layers)
    where = "" if len(layers) == every else f", layer {', '.join(str(own.layer) for own in layers)}"
    products = f"{count(starts, 'random start')} a trial, {count(steps, 'step')}"
    words = [f"Lanczos method{where}: {products}."]
    if not math.isnan(error):
        words.append(f"largest σ is exact to {error:.1g} of it; the others are estimates.")
    if any(layer.measures(near_zero)["near_zero"].estimate is None for layer in layers):
        words.append("A range is what is known of near 0: more --steps, or a larger --near-zero.")
    return " ".join(words)


def columns_of(found: Spectrum, notation: Notation) -> list[Column]:
    """Return all columns: which layer, how many singular values, and each measure with theory."""
    layers = found.layers
    columns = [Column("layer", tuple(str(own.layer) for own in layers), "layer")]
    if isinstance(found.subject, NetworkSummary):
        names = tuple(controls_escaped(layer_name(found.subject.row(own.layer))) for own in layers)
        columns.append(Column("name", names, "name", words=True))
    counts = tuple(f"{own.count:,}" for own in layers)
    columns.append(Column("values", counts, "values"))
    measures = [own.measures(found.near_zero) for own in layers]
    for name, header in HEADERS.items():
        own = [entry[name] for entry in measures]
        cells = tuple(
            _missing(layer, name, found.near_zero)
            if entry[name].estimate is None
            else _quantity(entry[name], notation)
            for layer, entry in zip(layers, measures, strict=True)
        )
        columns.append(Column(header, cells, name, part="e"))
        theory = tuple(_theory(entry) for entry in own)
        if any(theory):
            columns.append(Column("theory", theory, name, part="t", style="dim"))
    return columns


def _fitting(
    found: Spectrum, glyphs: Glyphs, width: int
) -> tuple[list[Column], list[str], Notation]:
    """Return the columns that fit, measures from the first on, the names of the others, and the
    notation of estimates."""
    for notation in Notation:
        every = shown(columns_of(found, notation), glyphs)
        if width_of(every) <= width:
            return every, [], notation
    kept = [column for column in every if column.group not in HEADERS]
    hidden: list[str] = []
    for name, header in HEADERS.items():
        own = [column for column in every if column.group == name]
        if not hidden and width_of([*kept, *own]) <= width:
            kept += own
        else:
            hidden.append(header)
    return kept, hidden, notation


def _missing(layer: LayerSpectrum, name: str, near_zero: float) -> str:
    """Return why a measure of a layer has no value, or between which numbers it lies."""
    if np.isnan(layer.singular_values).any():
        return "not finite"
    known = layer.near_zero_range(near_zero)
    if name != "near_zero" or known is None:
        return "undefined"
    return "–".join(f"{end:.2g}" for end in known)


def _quantity(entry: Measure, notation: Notation) -> str:
    return quantity(_number(entry.estimate), _number(entry.stderr), notation)


def _theory(entry: Measure) -> str:
    return alike(_number(entry.theory), _number(entry.estimate), _number(entry.stderr))


def _number(value: float | None) -> float:
    return math.nan if value is None else value
