"""Notes on what theory does not know of a network, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from snstat.layers.batch_norm import ENDLESS, UNSETTLED
from snstat.results import NO_THEORY, OF_BATCH_NORM
from snstat.results.theory_end import OF_PAIRS, OF_SAMPLES, OF_SIGNAL, OF_SIZE, TheoryEnd

# Where theory ends that notes say. Rules say what they do not know of gradients.
SAID = (OF_SIGNAL, OF_SIZE, OF_SAMPLES, OF_PAIRS)


def without_theory(
    ends: Sequence[TheoryEnd], missing: int, depth: int, place: Callable[[int], str]
) -> Iterator[str]:
    """Yield notes on the `ends` of theory of a network of `depth` layers, `missing` of which have
    none. `place` names a layer by its number."""
    of = {name: [end for end in ends if end.of == name] for name in SAID}
    if of[OF_SIGNAL]:
        first, *others = of[OF_SIGNAL]
        every = missing == depth + 1 - first.layer
        more = " on" if every else f", {missing:,} of {depth:,} layers in all"
        words = [f"from {place(first.layer)}{more}: {first.reason}"]
        words += [f"from {place(end.layer)}: {end.reason}" for end in others]
        yield f"{NO_THEORY} {'; '.join(words)}; measured values are judged"
    for end in (*of[OF_SIZE], *of[OF_SAMPLES], *of[OF_PAIRS]):
        yield end.words(place(end.layer))


def of_batch_norm(batch: int) -> Iterator[str]:
    """Yield a note on the statistics of few samples."""
    if batch > UNSETTLED:
        return
    what = "averages of squared gradients over networks do not settle"
    if batch <= ENDLESS:
        what = "the mean squared gradient is infinite, or set by epsilon"
    yield f"{OF_BATCH_NORM} {batch} samples: {what}; use --batch {UNSETTLED + 1} or more"


def not_used(layers: Sequence[int], place: Callable[[int], str]) -> Iterator[str]:
    """Yield a note on layers that the output does not depend on."""
    if not layers:
        return
    if len(layers) == 1:
        words = f"{place(layers[0])} does not reach the output: no later layer starts from it"
    else:
        words = (
            f"{place(layers[0])} and {len(layers) - 1:,} more do not reach the output: no later"
            " layer starts from them"
        )
    yield words
