"""What theory of a network starts from: the signal of its input, and what it becomes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.container_step import ContainerStep
from snstat.layers.higher import Higher
from snstat.layers.law import OTHER, ZERO
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, PRODUCTS, SQUARES, STILL, Signal
from snstat.layers.squares import MANY_POSITIONS, MOST_PAIRED, diagonal
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.theory.predict import input_gap

# Pairs of positions that are followed in all layers together: always, and where a layer needs them.
FEW_PAIRS, MOST_PAIRS = 2**18, 2**25
# Products of two samples of data that are followed: in all layers together, and in one. A position
# by itself takes the time of so many more.
MOST_CROSSED, MOST_AT_ONCE, MORE_ALONE = 2**28, 2**24, 2000
# Of more layers than these, all are taken to have the grid of the input.
MOST_COUNTED = 10_000


def why_no_pairs(network: Network) -> str:
    """Return why pairs of positions are not followed, "" if they are: more of them where a layer
    needs them."""
    if network.input.positions > MOST_PAIRED:
        return MANY_POSITIONS
    most = MOST_PAIRS if network.block.pairs else FEW_PAIRS
    if _pairs(network, most) <= most:
        return ""
    if network.block.pairs:
        return f"more than {most:,} pairs of positions in all layers together"
    return "no layer needs so many pairs"


def pairs_of(network: Network) -> int:
    """Return how many pairs of positions are followed in all layers together."""
    return 0 if not network.input.grid or why_no_pairs(network) else _pairs(network, 0)


def _pairs(network: Network, few: int) -> int:
    """Return the pairs of positions of all layers; more than `few` are counted."""
    pairs = network.depth * network.input.positions**2
    if pairs > few and network.depth <= MOST_COUNTED:
        return sum(row.after.positions**2 for row in network.rows())
    return pairs


def positions_of(network: Network) -> int:
    """Return how many positions all layers have together."""
    if network.depth > MOST_COUNTED:
        return network.depth * network.input.positions
    return sum(row.after.positions for row in network.rows())


class Followed(NamedTuple):
    """How many samples of data theory follows one by one, and the batches that they are in."""

    samples: int = 0
    batches: int = 0
    batch: int = 0


def products_of(network: Network, of: Followed) -> int:
    """Return how many products of two samples of a batch are followed, with all their positions in
    all layers together: 0 where they are too many, and of one sample."""
    if of.batch < 2 or network.depth > MOST_COUNTED:
        return 0
    pairs, square = pairs_of(network), of.batch**2
    positions = max(network.input.positions, *(row.after.positions for row in network.rows()))
    whole = of.batches * (square * pairs or (square + MORE_ALONE) * positions_of(network))
    at_once = square * positions ** (2 if pairs else 1)
    few = whole <= MOST_CROSSED and at_once <= MOST_AT_ONCE and of.samples * pairs <= MOST_PAIRS
    return whole if few else 0


def steps_of(
    network: Network, batch: int, inputs: InputMoments, *, train: bool
) -> tuple[Signal, ContainerStep]:
    """Return the signal of the input, and the steps of all layers: see `walk`."""
    block = network.block if train else network.block.evaluated()
    start = signal_of(network.input, batch, inputs, pairs=not why_no_pairs(network))
    return start, block.moments([start], batch)


def signal_of(shape: Shape, batch: int, inputs: InputMoments, *, pairs: bool) -> Signal:
    """Return the signal of `batch` samples of this shape with the moments `inputs`, with `pairs` of
    positions or without."""
    if shape.tokens:
        return _tokens(shape, inputs, pairs=pairs)
    law = ZERO if inputs.silent else OTHER
    # Of samples that differ in norm, and of data on a grid, moments are averages.
    varies = SQUARES if inputs.norms is not None or (shape.grid and not inputs.drawn) else STILL
    gap = input_gap(batch, inputs) if inputs.norms is None else math.nan
    if shape.grid and not inputs.drawn:  # moments of data are averages over positions
        gap = math.nan
    square = inputs.second_moment + 0.0 * gap
    if shape.positions == 1:
        one = Signal.of_one(shape, (inputs.mean, square, gap), law)
        return replace(one, higher=_of_drawn(inputs, one.mean, one.same), varies=varies)
    mean, same, apart = np.multiply.outer((inputs.mean, square, gap), np.ones(shape.positions))
    if pairs:  # of drawn inputs, those of different positions are independent
        same = np.diag(same - mean * mean) + np.outer(mean, mean)
        apart = np.diag(apart)
    higher = _of_drawn(inputs, mean, diagonal(same))
    return Signal(shape, mean, same, apart, law, higher=higher, varies=varies)


def signal_of_sample(shape: Shape, values: FloatArray, *, pairs: bool) -> Signal:
    """Return the signal of one sample of data, (units,), with `pairs` of positions or without. How
    alike another sample is, it does not know."""
    units = values.reshape(shape.positions, shape.channels)
    mean, square = units.mean(axis=1), (units * units).mean(axis=1)
    same = units @ units.T / shape.channels if pairs or shape.positions == 1 else square
    same = np.where(np.isfinite(same), same, math.inf)  # products that overflow have any sign
    apart = units - mean[:, None]
    variance = (apart * apart).mean(axis=1)
    fourth = (apart**4).mean(axis=1) - 3.0 * variance**2
    higher = Higher((apart**3).mean(axis=1), fourth, fixed=True)
    law = OTHER if units.any() else ZERO
    return Signal(
        shape, mean, same, np.full_like(same, math.nan), law, frozenset((PLACE,)), higher=higher
    )


def _of_drawn(inputs: InputMoments, mean: FloatArray, square: FloatArray) -> Higher | None:
    """Return moments beyond the second of inputs that are drawn, from symmetric laws, whose
    positions are independent; None of data."""
    if not inputs.drawn or math.isnan(inputs.kurtosis):
        return None
    square = square.ravel()
    fourth = (inputs.kurtosis - 3.0) * (square - mean**2) ** 2
    higher = Higher(0.0 * fourth, fourth)

    def squares() -> FloatArray | None:
        if square.size > MOST_PAIRED:  # they are products of pairs too
            return None
        found = np.outer(square, square)
        np.fill_diagonal(found, higher.raw_fourth(mean, square))
        return found

    return replace(higher, squares=squares)


def _tokens(shape: Shape, inputs: InputMoments, *, pairs: bool) -> Signal:
    """Return the signal of tokens, as if only the unit of the token were not 0: E[xx'] of others is
    0, and that of equal ones 1. How often these are equal in data is not known."""
    count, equal = shape.positions, 1.0 / shape.tokens
    gap = 1.0 if inputs.drawn else math.nan
    if inputs.cosine == 1.0:  # two passes of one sample
        gap = 0.0
    mean, one, drawn = np.full(count, math.nan), np.ones(count), inputs.drawn
    same = np.diag(one) if pairs and drawn else one
    return Signal(shape, mean, same, gap * same, OTHER, varies=PRODUCTS, equal=equal, apart=drawn)
