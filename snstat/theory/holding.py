"""Over how many layers a signal is held, and the gains that hold it.

q' = G² E[φ(√q z)²] + b² of pre-activations: a gain holds q if q' = q.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.centred import centred_moments
from snstat.layers.dense_layer import DenseLayer
from snstat.network.stack import Stack
from snstat.results import InputMoments
from snstat.theory.chain import Chain, begin
from snstat.theory.outlook import outlook
from snstat.theory.predict import predict

# Second moments of pre-activations among which the best gain is looked for, and some to try where
# that does not help: as of sigmoid, whose slope is best where most units are saturated.
PLACES = np.exp(np.linspace(math.log(0.01), math.log(100.0), 81))
OTHER_PLACES = (0.1, 0.3, 3.0, 10.0, 30.0)
# Gains that are tuned to the depth, by halving this range so often; deeper stacks are followed
# so many layers.
LEAST_GAIN, MOST_GAIN, HALVINGS, FOLLOWED = 0.1, 10.0, 32, 500
LEAST_PLACE, MOST_PLACE = 1e-6, 1e6
# A signal that has changed by this factor does not return.
LEFT = 1e6
# Most signals that leave their bounds leave them in so many layers.
SHORT = 16
# After so many layers a signal is close to its limit, and the fixed point gives the rest.
SETTLED = 256


def survival(stack: Stack, inputs: InputMoments, low: float, high: float) -> int:
    """Return over how many layers of `stack` the second moment stays from `low` to `high`.

    Cheap: of all theory, it follows the second moment only.
    """
    second, silent = inputs.second_moment, inputs.silent
    for first, count, layer in stack.equal_layers():
        chain = begin(layer, second, silent=silent, depth=stack.depth)
        seen, upto = 0, min(count, SHORT)
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
            if upto == SETTLED and low <= _limit(stack.of_depth(first + upto - 1), inputs) <= high:
                break
            seen, upto = len(steps), min(2 * upto, count)
        second, silent = steps[-1].second_moment, steps[-1].silent
    return stack.depth


def _limit(stack: Stack, inputs: InputMoments) -> float:
    """Return the second moment that the signal approaches, NaN if it does not."""
    # Of all samples together: the variance of one is without that between those of other norms.
    batch = 1 if inputs.norms is None else inputs.norms.samples
    found = outlook(stack, predict(stack, batch, inputs).alone)
    if found is None or found.mean is None or found.variance is None:
        return math.nan
    return found.mean**2 + found.variance


def _square_gain(q: float, second_moment: float, bias_std: float) -> float:
    """Return the G² with which q = G² E[φ²] + b², at most 0 if there is none."""
    return (q - bias_std**2) / second_moment if second_moment > 0 else 0.0


def fixing_gains(activation: Activation, bias_std: float) -> Iterator[float]:
    """Yield gains with a fixed point: first the one at q = 1, then by how near χ = 1 it is."""
    found: list[tuple[float, float]] = []
    for q in (1.0, *OTHER_PLACES, *PLACES.tolist()):
        state = centred_moments(activation, q)
        square = _square_gain(q, state.second_moment, bias_std)
        if square > 0:
            change = math.log(max(square * state.derivative_square, 1e-300))
            found.append((abs(change), math.sqrt(square)))
    if found:
        yield found[0][1]
        yield min(found)[1]
        yield from (gain for _, gain in sorted(found[1 : 1 + len(OTHER_PLACES)]))


def gain_of_target(activation: Activation, wanted: float, bias_std: float) -> float | None:
    """Return the gain at which E[φ²] = `wanted` is a fixed point, None if there is none."""
    low, high = math.log(LEAST_PLACE), math.log(MOST_PLACE)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        second = centred_moments(activation, math.exp(middle)).second_moment
        low, high = (low, middle) if second > wanted else (middle, high)
    q = float(f"{math.exp(0.5 * (low + high)):.8g}")
    square = _square_gain(q, wanted, bias_std)
    return math.sqrt(square) if square > 0 else None


def tuned_gain(layer: DenseLayer, start: float, depth: int) -> float:
    """Return the gain after which the second moment of the last layer is that of the input."""
    depth = min(depth, FOLLOWED)
    low, high = math.log(LEAST_GAIN), math.log(MOST_GAIN)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        tried = replace(layer, square_gain=math.exp(2.0 * middle))
        # Many gains are tried, and tables serve them all.
        chain = Chain(tried, start, False, direct=0)  # not silent
        upto = min(SHORT, depth)
        steps, settled = chain.until(upto)
        while upto < depth and len(steps) == upto and _near(steps[-1].second_moment, start):
            upto = min(2 * upto, depth)
            steps, settled = chain.until(upto)
        grows = (len(steps) < upto and not settled) or steps[-1].second_moment > start
        low, high = (low, middle) if grows else (middle, high)
    return math.exp(0.5 * (low + high))


def _near(second_moment: float, start: float) -> bool:
    return start / LEFT < second_moment < start * LEFT
