"""What heads of attention do to signals of queries, keys and values, whatever made these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from snstat.layers.attention_causal import attended_causally
from snstat.layers.attention_moments import FEW_TOKENS, MOST_EQUAL, Read, attended_alike
from snstat.layers.exchangeable import Exchangeable
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Pull, Signal, Slope, Step


def read_by_heads(
    signals: Sequence[Signal], heads: int, keep: float, *, causal: bool, equal: float
) -> Step | NoTheory:
    """Return the step from the `signals` of queries, keys and values to what so many heads read,
    or why there is none.

    They keep what they read with the probability `keep`, and read only what is not after them if
    `causal`; two of the tokens that are read are equal with the probability `equal`.
    """
    tokens = list[Exchangeable]()
    for signal in signals:
        alike = Exchangeable.of(signal)
        if isinstance(alike, NoTheory):
            return alike
        tokens.append(alike)
    queries, keys, values = tokens
    units, read_units = signals[0].shape.channels, signals[2].shape.channels
    read = Read(queries, keys, values, heads, units // heads, keep)
    if read.equal(equal) > MOST_EQUAL:
        return NoTheory(FEW_TOKENS)
    attended = attended_causally if causal else attended_alike
    step = attended(read, signals, Shape(read_units, signals[0].shape.grid))
    if isinstance(step, NoTheory) or units == read_units:
        return step
    return replace(step, pull=partial(_pulled, step.pull, read_units / units))


def _pulled(pull: Pull, ratio: float, slope: Slope) -> tuple[Slope, ...]:
    """Return the slopes of queries, keys and values by `pull`, which takes them to have as many
    units: a score has the gradients of all units that a head reads, shared by those that make it,
    of which there are `ratio` to one."""
    of_queries, of_keys, of_values = pull(slope)
    return of_queries.scaled(ratio), of_keys.scaled(ratio), of_values
