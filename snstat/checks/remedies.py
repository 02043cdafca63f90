"""What to try: other gains, fewer layers, wider layers. Whether it helps is tried out elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from snstat.checks.case import Case
from snstat.checks.rule import Broken, Remedy
from snstat.stack import MAX_WIDTH
from snstat.theory.centred import centred_moments
from snstat.theory.dense import LARGEST_SECOND_MOMENT

# Second moments of pre-activations among which the best gain is looked for.
PLACES = np.exp(np.linspace(math.log(0.01), math.log(100.0), 81))
# A signal beyond these has gone wherever it goes.
GONE = 1e6
# Gains that are tuned to the depth, by halving this range so often; deeper stacks are followed
# so many layers.
LEAST_GAIN, MOST_GAIN, HALVINGS, FOLLOWED = 0.1, 10.0, 32, 1000
LEAST_PLACE, MOST_PLACE = 1e-6, 1e6
# Deeper stacks are not tried out.
MOST_LAYERS = 2**20


def gains(case: Case, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's signature
    """Yield gains that hold the signal over the whole stack."""
    for remedy, layers in _gains_and_layers(case):
        if layers >= case.limit:
            yield remedy


def without_biases(case: Case, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # as above
    """Yield the stack without its biases."""
    if case.layer.bias_std > 0:
        now = f"{case.layer.bias_std:.4g}"
        yield Remedy(f"use --bias-std 0 (now {now})", case.changed(bias_std=0.0))


def fewer_layers(case: Case, broken: Broken) -> Iterator[Remedy]:
    """Yield fewer layers, alone or with another gain, the longest stack first: those before the
    one that breaks this rule, and those before any rule is broken."""
    from snstat.checks.judge import look  # which tries remedies out, and so imports this module

    layers = [broken.layer, *(how.layer for how in look(case).values())]
    depths = sorted({layer - 1 for layer in layers if layer is not None and layer > 1})
    found = [(depth, at_most(case, depth)) for depth in depths[:1] + depths[-1:]]
    found += _shortened_with_gains(case)
    for _, remedy in sorted(found, key=lambda entry: -entry[0]):
        yield remedy


@lru_cache(maxsize=8)
def _shortened_with_gains(case: Case) -> tuple[tuple[int, Remedy], ...]:
    """Return other gains with as many layers as break no rule."""
    from snstat.checks.judge import look

    found = []
    for remedy, layers in _gains_and_layers(case):
        depth, changed = min(layers, case.limit), remedy.case
        while changed is not None and depth > 0:
            shorter = changed.changed(depth=depth)
            ends = [how.layer for how in look(shorter).values() if how.layer]
            if not ends:
                words = remedy.words
                if depth < case.limit:
                    words += f" and {_at_most_words(case, depth)}"
                found.append((depth, Remedy(words, shorter)))
                break
            depth = min([depth, *ends]) - 1
    return tuple(found)


# All findings of a case ask for them.
@lru_cache(maxsize=8)
def _gains_and_layers(case: Case) -> tuple[tuple[Remedy, int], ...]:
    """Return other gains, each with the layers over which the second moment stays in bounds."""
    now = f"{case.stack.hidden_gain:.4g}"
    found = {}
    for gain in _holding_gains(case):
        # Four digits are easy to type; where depth asks for more, all of them.
        for words in (f"{gain:.4g}", repr(gain)):
            if f"{gain:.4g}" != now and words not in found:
                changed = case.changed(weight_gain=float(words))
                layers = survival(changed)
                found[words] = Remedy(f"use --weight-gain {words} (now {now})", changed), layers
                if layers >= case.limit:
                    break
    return tuple(found.values())


def survival(case: Case) -> int:
    """Return over how many layers, up to the limit, the second moment stays in its bounds.

    Cheap: of all theory, it follows the second moment only.
    """
    second = case.inputs.second_moment
    low, high = case.bounds.second_moment_range(second)
    layer, previous = case.stack.layer(1), math.nan
    for number in range(1, case.limit + 1):
        q = layer.square_gain * second + layer.bias_std**2
        if not q <= LARGEST_SECOND_MOMENT:
            return number - 1
        if number > 1 and math.isclose(q, previous, rel_tol=1e-15):
            return case.limit
        second, previous = centred_moments(case.activation, q).second_moment, q
        if not low <= second <= high:
            return number - 1
        layer = case.layer
    return case.limit


def more_layers(case: Case, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # as above
    """Yield more layers: the signal may only need time to get where it goes."""
    for factor in (2, 4, 8, 16):
        depth = factor * case.depth
        if depth <= MOST_LAYERS:
            words = f"at least {depth:,} layers (now {case.depth:,})"
            yield Remedy(words, case.changed(depth=depth))


def at_most(case: Case, depth: int) -> Remedy:
    """Return the remedy of a stack of `depth` layers."""
    return Remedy(_at_most_words(case, depth), case.changed(depth=depth))


def _at_most_words(case: Case, depth: int) -> str:
    layers = "1 layer" if depth == 1 else f"{depth:,} layers"
    limit = f", --depth-limit {case.limit}" if case.limit > case.depth else ""
    return f"at most {layers} (now {case.depth:,}{limit})"


def wider(case: Case, broken: Broken) -> Iterator[Remedy]:
    """Yield widths at which networks differ less: the variance between them falls as 1/width."""
    if broken.value is None or broken.bound is None or not 0 < broken.bound < broken.value:
        return
    least = case.stack.width * (broken.value / broken.bound) ** 2
    # What is more than can be told starts from what it is more than.
    for width in (least, 1.0 + least, 1.05 * least, *(1.5**n * least for n in range(1, 10))):
        if width <= MAX_WIDTH:
            units, now = math.ceil(width), case.stack.width
            yield Remedy(f"width ≥ {units:,} (now {now:,})", case.changed(width=units))


def _holding_gains(case: Case) -> Iterator[float]:
    """Yield G with G² E[φ²] + b² = q for some q: what the second moment then stays at.

    The last one is tuned to the depth: where every fixed point repels, as for GELU, it keeps the
    signal longest.
    """
    target = case.bounds.target(case.stack.activation)
    if target == (0.0, 1.0):
        yield 1.0  # exactly, but for biases that come with the initialiser
    if target is not None:
        yield from _gain_of_target(case, *target)
    bias = case.layer.bias_std**2
    found: list[tuple[float, float]] = []
    for q in (1.0, *PLACES.tolist()):
        state = centred_moments(case.activation, q)
        if q > bias and state.second_moment > 0:
            square = (q - bias) / state.second_moment
            change = math.log(max(square * state.derivative_square, 1e-300))
            found.append((abs(change), math.sqrt(square)))
    if found:
        yield found[0][1]
        yield min(found)[1]
    yield _tuned_gain(case)


def _gain_of_target(case: Case, mean: float, variance: float) -> Iterator[float]:
    """Yield the gain at which the target's second moment is a fixed point, if there is one."""
    wanted = variance + mean * mean
    low, high = math.log(LEAST_PLACE), math.log(MOST_PLACE)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        second = centred_moments(case.activation, math.exp(middle)).second_moment
        low, high = (low, middle) if second > wanted else (middle, high)
    q = float(f"{math.exp(0.5 * (low + high)):.8g}")
    square = (q - case.layer.bias_std**2) / wanted if wanted > 0 else 0.0
    if square > 0:
        yield math.sqrt(square)


def _tuned_gain(case: Case) -> float:
    """Return the gain after which the last second moment is the input's."""
    start = case.inputs.second_moment
    low, high = math.log(LEAST_GAIN), math.log(MOST_GAIN)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        square, second, previous = math.exp(2.0 * middle), start, math.nan
        for _ in range(min(case.limit, FOLLOWED)):
            q = square * second + case.layer.bias_std**2
            second, previous = centred_moments(case.activation, q).second_moment, second
            if not start / GONE < second < start * GONE or math.isclose(second, previous):
                break
        low, high = (low, middle) if second > start else (middle, high)
    return math.exp(0.5 * (low + high))
