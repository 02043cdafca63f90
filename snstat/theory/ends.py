"""Where theory of a network ends, and why: layers say it of themselves (`NoTheory`, `Step`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from snstat.layers.container_step import ContainerStep
from snstat.layers.no_theory import NO_AVERAGE
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.network.network import Network
from snstat.results import FloatArray, InputMoments
from snstat.results.theory_end import (
    ENDS_OF,
    OF_GRADIENT,
    OF_PAIRS,
    OF_SAMPLES,
    OF_SIGNAL,
    OF_SIZE,
    OF_UNITS,
    OF_WIDTH,
    TheoryEnd,
)
from snstat.theory.start import why_no_pairs

NORMS = "the samples of these data differ in norm"
DATA_ON_GRID = "each position of data has moments of its own"
MANY_SAMPLES = "too many pairs of samples and positions; use a smaller --batch"
OF_EACH = "first order in 1/width is not derived for samples of data that differ"
DATA_TOKENS = "how often tokens of data are equal is not known"
TOO_SMALL = "second moments are so small that they lose digits"
NO_HIGHER = (
    "shares of units are not derived for networks, and kurtosis of functions of Gaussian units only"
)
UNTRUSTED = "networks differ too much for first order in 1/width"


def ends_of_signals(
    network: Network, start: Signal, step: Step, inputs: InputMoments | None = None
) -> Iterator[TheoryEnd]:
    """Yield where theory of signals ends, of samples and of pairs of positions, from the signal of
    the input and the `step` of all layers, each layer in turn; `inputs` are None of a sample by
    itself."""
    yield from _at_start(network, start, inputs)
    for number, own in _numbered(step, 1):
        if own.why:
            yield TheoryEnd(OF_SIGNAL, number, own.why)
        if own.why_pairs:
            yield TheoryEnd(OF_PAIRS, number, own.why_pairs)


def ends_of_sizes(mean: FloatArray, second_moment: FloatArray) -> Iterator[TheoryEnd]:
    """Yield where second moments (depth + 1,) are known, but so small that they lose digits."""
    small = np.flatnonzero(np.isnan(mean) & ~np.isnan(second_moment))
    small = small[small > 0]  # what is of the input is exact
    if small.size:
        yield TheoryEnd(OF_SIZE, int(small[0]), TOO_SMALL)


def ends_of_gradients(
    shape: Shape, step: Step, logs: FloatArray, signals: Iterable[TheoryEnd]
) -> Iterator[TheoryEnd]:
    """Yield up to where theory of gradients is not known, from the logarithms of their squared
    norms (depth + 1,), for an input of this shape, and where that of `signals` ends."""
    missing = np.flatnonzero(np.isnan(logs))
    if shape.tokens:  # which have no gradient
        missing = missing[missing > 0]
    for number, own in _numbered(step, 1):
        if own.why_gradient and not np.isnan(logs[number]):
            before = int(np.searchsorted(missing, number))
            if before:
                yield TheoryEnd(OF_GRADIENT, int(missing[before - 1]), own.why_gradient)
    first = next((end.layer for end in signals if end.of == OF_SIGNAL), None)
    if first is not None and missing.size:
        reason = f"theory of the signal ends at layer {first}"
        yield TheoryEnd(OF_GRADIENT, int(missing[-1]), reason)


def ends_at_width(
    variance: FloatArray, theory: Mapping[str, FloatArray], expected: Mapping[str, FloatArray]
) -> Iterator[TheoryEnd]:
    """Yield where what is `expected` at the width of a network is not known, though `theory` of
    infinite width is, and the relative `variance` of E[x²] between networks."""
    followed = np.isfinite(variance) & np.isfinite(theory["second_moment"])
    trusted = np.isfinite(expected["second_moment"])
    yield from _first(followed & ~trusted, UNTRUSTED)
    known = [trusted & np.isfinite(theory[name]) & np.isnan(expected[name]) for name in expected]
    yield from _first(np.any(known, axis=0), NO_AVERAGE)


def told(ends: Iterable[TheoryEnd]) -> tuple[TheoryEnd, ...]:
    """Return `ends` with each reason once, at the first layer that it is of, or at the last one of
    gradients."""
    found: dict[tuple[str, str], TheoryEnd] = {}
    for end in ends:
        key = end.of, end.reason
        if key not in found or (end.of == OF_GRADIENT and end.layer > found[key].layer):
            found[key] = end
    return tuple(found.values())


def ends_of(
    ends: Iterable[TheoryEnd],
    variance: FloatArray,
    theory: Mapping[str, FloatArray],
    expected: Mapping[str, FloatArray] | None,
) -> tuple[TheoryEnd, ...]:
    """Return where theory of a network ends, as a record has it: at `ends`, and beyond the first
    order in 1/width (see `ends_at_width`), unless `expected` is None: it is then of something
    else."""
    found = [end for end in ends if end.of != OF_WIDTH or expected is not None]
    if expected is not None:
        found += ends_at_width(variance, theory, expected)
    found.sort(key=lambda end: ENDS_OF.index(end.of))
    return told([*found, TheoryEnd(OF_UNITS, 0, NO_HIGHER)])


def _at_start(network: Network, start: Signal, inputs: InputMoments | None) -> Iterator[TheoryEnd]:
    """Yield what is not known of the signal of the input, whose own statistics are exact."""
    if not start.known:
        norms = inputs is not None and inputs.norms is not None
        yield TheoryEnd(OF_SIGNAL, 1, NORMS if norms else DATA_ON_GRID)
        return
    if np.isnan(start.gap).any():
        yield TheoryEnd(OF_SAMPLES, 1, MANY_SAMPLES if inputs is None else DATA_TOKENS)
    if start.same.ndim == 1 and start.mean.size > 1:
        yield TheoryEnd(OF_PAIRS, 0, why_no_pairs(network) or DATA_TOKENS)


def _numbered(step: Step, number: int) -> Iterator[tuple[int, Step]]:
    """Yield the steps of single layers, the first of which has this number, with their numbers.
    Turns that are left out end nothing that those before do not."""
    if not isinstance(step, ContainerStep):
        yield number, step
        return
    counts = [entry.layer.count for entry in step.container.parts]
    for steps in step.turns:
        for inner, count in zip(steps, counts, strict=True):
            yield from _numbered(inner, number)
            number += count


def _first(missing: np.ndarray, reason: str) -> Iterator[TheoryEnd]:
    layers = np.flatnonzero(missing)
    if layers.size:
        yield TheoryEnd(OF_WIDTH, int(layers[0]), reason)
