"""The record of what a network is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snstat.network.network import Network
from snstat.results import FloatArray
from snstat.results.overview import LayerRow, Overview
from snstat.results.theory_end import TheoryEnd, place

INPUT = "input"


def overview(
    network: Network,
    numbers: Sequence[int],
    samplers: Sequence[str | None],
    positions: Mapping[int, FloatArray] | None = None,
    ends: Sequence[TheoryEnd] | None = None,
) -> Overview:
    """Return the record of a network, with the layers of these `numbers`, which ascend from 0, how
    each of them is sampled, and their signal at every position and where theory `ends` where that
    was asked for."""
    own = dict(zip(numbers, samplers, strict=True))
    rows = [
        LayerRow(
            row.number,
            row.name,
            row.layer.kind,
            row.after.sizes,
            row.layer.parameters(row.before),
            own[row.number],
        )
        for row in network.rows([number for number in numbers if number])
    ]
    if 0 in numbers:
        rows.insert(0, LayerRow(0, INPUT, INPUT, network.input.sizes, 0, None))
    told = None if ends is None else tuple((end, _place(network, end.layer)) for end in ends)
    form = network.form()
    return Overview(form, network.depth, network.parameters, tuple(rows), positions, told)


def _place(network: Network, layer: int) -> str:
    if not layer:
        return "the input"
    (row,) = network.rows([layer])
    return place(layer, row.name, row.layer.kind)
