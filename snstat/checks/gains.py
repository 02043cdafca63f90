"""Gains that hold a signal: at a fixed point, at a target, or over the depth of a stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from snstat.checks.stack_case import StackCase
from snstat.theory import holding

# Gains near the tuned one: larger and smaller by these shares of it.
NEAR = tuple(sign * 2.0 ** (-half / 2.0) for half in range(8, 21) for sign in (-1.0, 1.0))


def holding_gains(case: StackCase) -> tuple[tuple[float, int], ...]:
    """Return other gains, each with the layers over which the second moment stays in bounds.

    Four digits are easy to type; where depth asks for more, all of them.
    """
    return case.thought.once("gains", _holding_gains)


def _holding_gains(case: StackCase) -> tuple[tuple[float, int], ...]:
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
        follow([holding.tuned_gain(case.layer, case.inputs.second_moment, case.limit)])
    return tuple(found.items())


def near_gains(case: StackCase) -> tuple[float, ...]:
    """Return gains near the one that is tuned to the depth, those in the middle of the range that
    holds the second moment longest first.

    The tuned gain may lie at the edge of what holds: where a fixed point repels, as for GELU, a
    little less of it breaks no rule over many more layers.
    """
    return case.thought.once("near gains", _near_gains)


def _near_gains(case: StackCase) -> tuple[float, ...]:
    tuned = holding.tuned_gain(case.layer, case.inputs.second_moment, case.limit)
    near = sorted({float(f"{tuned * (1.0 + share):.4g}") for share in NEAR})
    lasting = [gain for gain in near if survival(case.changed(weight_gain=gain)) >= case.limit]
    middle = 0.5 * (lasting[0] + lasting[-1]) if lasting else tuned
    return tuple(sorted(near, key=lambda gain: abs(gain - middle)))


def survival(case: StackCase) -> int:
    """Return over how many layers, up to the limit, the second moment stays in its bounds."""
    return case.once("survival", _survival)


def _survival(case: StackCase) -> int:
    low, high = case.bounds.second_moment_range(case.inputs.second_moment)
    return holding.survival(case.whole, case.inputs, low, high)


def _gains(case: StackCase) -> Iterator[float]:
    """Yield gains with a fixed point: that of the target first."""
    target, bias = case.target, case.layer.bias_std
    if target == (0.0, 1.0):
        yield 1.0  # exactly, but for biases that come with the initialiser
    if target is not None:
        gain = holding.gain_of_target(case.activation, target[1] + target[0] ** 2, bias)
        if gain is not None:
            yield gain
    yield from holding.fixing_gains(case.activation, bias)
