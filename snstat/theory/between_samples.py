"""How alike samples of a batch are, each of which is followed by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.container import Container
from snstat.layers.container_step import ContainerStep
from snstat.layers.entry import chosen
from snstat.layers.gaussian_inputs import LEAST_SQUARE
from snstat.layers.layer import Layer
from snstat.layers.no_theory import UNRESOLVED, NoTheory
from snstat.layers.signal import Signal, Step
from snstat.layers.squares import diagonal
from snstat.results.theory_end import OF_SAMPLES, TheoryEnd


class Between(NamedTuple):
    """The mean `cosine` between different samples of a batch, and the `variance` over the batch, of
    every layer behind the input (layers,), NaN where they are not known, with the reasons."""

    cosine: FloatArray
    variance: FloatArray
    ends: list[TheoryEnd]


def between_samples(
    block: Container, steps: Sequence[ContainerStep], values: FloatArray
) -> Between:
    """Return how alike samples are in all layers of a `block`, from its step for each of them, and
    their `values` (samples, positions, channels)."""
    cosine, variance = np.full((2, block.count), math.nan)
    found = Between(cosine, variance, [])
    channels = values.shape[2]
    if steps[0].inputs[0].same.ndim > 1:
        start = np.einsum("auc,bvc->abuv", values, values, optimize=True) / channels
    else:
        start = np.einsum("auc,buc->abu", values, values, optimize=True) / channels
    _through(block, steps, [start], 0, found)
    return found


# Products of samples, None where they are not known.
_Products = FloatArray | None


def _through(
    layer: Layer,
    steps: Sequence[Step],
    inputs: Sequence[_Products],
    place: int,
    found: Between,
) -> _Products:
    """Return the products after a layer, the first one of which has this place, and write what
    follows from them."""
    own = [step for step in steps if isinstance(step, ContainerStep)]
    if isinstance(layer, Container):
        return _through_container(layer, own, inputs, place, found)
    known = [crossed for crossed in inputs if crossed is not None]
    if len(known) < len(inputs) or not all(step.signal.known for step in steps):
        return None
    after = layer.between(steps, known)
    if not isinstance(after, NoTheory) and np.isnan(after).any():
        after = NoTheory(UNRESOLVED)
    if isinstance(after, NoTheory):
        found.ends.append(TheoryEnd(OF_SAMPLES, place + 1, after.why))
        return None
    _write(after, [step.signal for step in steps], place, found)
    return after


def _through_container(
    container: Container,
    steps: Sequence[ContainerStep],
    inputs: Sequence[_Products],
    place: int,
    found: Between,
) -> _Products:
    crossed, *outer = inputs
    for turn in range(container.repetitions):
        rows = [step.steps_at(turn) for step in steps]
        own = [crossed]
        for number, entry in enumerate(container.parts):
            given = chosen(own, outer, entry.inputs or (number,))
            own.append(_through(entry.layer, [row[number] for row in rows], given, place, found))
            place += entry.layer.count
        crossed = own[-1]
    return crossed


def _write(crossed: FloatArray, signals: Sequence[Signal], place: int, found: Between) -> None:
    """Write cosine and variance over the batch of one layer."""
    at_one = crossed if crossed.ndim == 3 else np.einsum("abuu->abu", crossed)
    whole = at_one.mean(axis=2)
    square = np.array([diagonal(signal.same).mean() for signal in signals])
    found.variance[place] = max(float(square.mean() - whole.mean()), 0.0)
    there = square >= LEAST_SQUARE  # samples that are 0 have no angle
    count = np.count_nonzero(there)
    if count > 1:
        root = np.sqrt(square[there])
        cosines = whole[np.ix_(there, there)] / np.outer(root, root)
        total = float(cosines.sum() - np.trace(cosines))
        found.cosine[place] = total / (count * (count - 1))
