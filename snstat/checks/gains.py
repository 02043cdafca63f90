"""Gains that hold a signal: at a fixed point, at a target, or over the depth of a stack."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from snstat.checks.case import Case
from snstat.gaussian.centred import centred_moments
from snstat.theory.chain import Chain, begin

# Second moments of pre-activations among which the best gain is looked for, and some to try where
# that does not help: as of sigmoid, whose slope is best where most units are saturated.
PLACES = np.exp(np.linspace(math.log(0.01), math.log(100.0), 81))
OTHER_PLACES = (0.1, 0.3, 3.0, 10.0, 30.0)
# Gains that are tuned to the depth, by halving this range so often; deeper stacks are followed
# so many layers.
LEAST_GAIN, MOST_GAIN, HALVINGS, FOLLOWED = 0.1, 10.0, 32, 500
# After so many layers a signal is close to its limit, and the fixed point gives the rest.
SETTLED = 256
LEAST_PLACE, MOST_PLACE = 1e-6, 1e6


# All findings of a case ask for them.
@lru_cache(maxsize=32)
def holding_gains(case: Case) -> tuple[tuple[float, int], ...]:
    """Return other gains, each with the layers over which the second moment stays in bounds.

    Four digits are easy to type; where depth asks for more, all of them.
    """
    now = f"{case.layer.gain:.4g}"
    found: dict[float, int] = {}

    def follow(gains: Iterable[float]) -> None:
        for exact in gains:
            for gain in (float(f"{exact:.4g}"), exact):
                if f"{exact:.4g}" != now and gain not in found:
                    found[gain] = survival(case.changed(weight_gain=gain))
                    if found[gain] >= case.limit:
                        break

    follow(_gains(case))
    # Tuned to the depth: where every fixed point repels, as for GELU, it keeps the signal longest.
    if not any(layers >= case.limit for layers in found.values()):
        follow([_tuned_gain(case)])
    return tuple(found.items())


def survival(case: Case) -> int:
    """Return over how many layers, up to the limit, the second moment stays in its bounds.

    Cheap: of all theory, it follows the second moment only.
    """
    second, silent = case.inputs.second_moment, case.inputs.silent
    low, high = case.bounds.second_moment_range(second)
    for first, count, layer in case.whole.segments():
        chain = begin(layer, second, silent=silent, depth=case.limit)
        seen, upto = 0, min(count, SETTLED)
        while True:
            steps, settled = chain.until(upto)
            for number, step in enumerate(steps[seen:], first + seen):
                if not low <= step.second_moment <= high:
                    return number - 1
            if not settled and len(steps) < upto:  # it overflows
                return first + len(steps) - 1
            if settled or upto == count:
                break
            # q moves one way: what its limit keeps within bounds is never beyond them.
            if upto == SETTLED and low <= _limit(case.changed(depth=first + upto - 1)) <= high:
                break
            seen, upto = len(steps), min(2 * upto, count)
        second, silent = steps[-1].second_moment, steps[-1].silent
    return case.limit


def _limit(case: Case) -> float:
    """Return the second moment that the signal approaches, NaN if it does not."""
    outlook = case.outlook
    if outlook.mean is None or outlook.variance is None:
        return math.nan
    return outlook.mean**2 + outlook.variance


def _gains(case: Case) -> Iterator[float]:
    """Yield G with G² E[φ²] + b² = q for some q: what the second moment then stays at."""
    target = case.target
    if target == (0.0, 1.0):
        yield 1.0  # exactly, but for biases that come with the initialiser
    if target is not None:
        yield from _gain_of_target(case, *target)
    bias = case.layer.bias_std**2
    found: list[tuple[float, float]] = []
    for q in (1.0, *OTHER_PLACES, *PLACES.tolist()):
        state = centred_moments(case.activation, q)
        if q > bias and state.second_moment > 0:
            square = (q - bias) / state.second_moment
            change = math.log(max(square * state.derivative_square, 1e-300))
            found.append((abs(change), math.sqrt(square)))
    if found:
        yield found[0][1]
        yield min(found)[1]
        # The nearest to χ = 1 first.
        yield from (gain for _, gain in sorted(found[1 : 1 + len(OTHER_PLACES)]))


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
    start, depth = case.inputs.second_moment, min(case.limit, FOLLOWED)
    low, high = math.log(LEAST_GAIN), math.log(MOST_GAIN)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        layer = replace(case.layer, square_gain=math.exp(2.0 * middle))
        steps, settled = Chain(layer, start, False).until(depth)  # not silent
        grows = (len(steps) < depth and not settled) or steps[-1].second_moment > start
        low, high = (low, middle) if grows else (middle, high)
    return math.exp(0.5 * (low + high))
