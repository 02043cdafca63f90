"""What to try where one thing does not help: fewer layers, or several changes together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Any

from snstat.checks.case import Case
from snstat.checks.gains import holding_gains, survival
from snstat.checks.look import look, sound
from snstat.checks.remedies import change, standard, wider
from snstat.checks.rule import Broken, Remedy

TOO_NARROW = "SN502"
# A target that no stack of this kind can reach is no reason to leave all else as it is.
TARGET = frozenset({"SN103", "SN104"})
Changes = dict[str, Any]


def last_resorts(case: Case, broken: Broken) -> Iterator[Remedy]:
    """Yield fewer layers, alone or with other changes, the longest stack first: those before the
    one that breaks this rule, those before any rule is broken, and what `several` finds."""
    layers = [broken.layer, *(how.layer for how in look(case).values())]
    depths = sorted({layer - 1 for layer in layers if layer is not None and layer > 1})
    found = [change(case, depth=depth) for depth in dict.fromkeys(depths[:1] + depths[-1:])]
    target = TARGET.intersection(look(case))
    found += several(case) or (several(case, target) if target else ())
    yield from sorted(found, key=lambda remedy: -remedy.case.limit if remedy.case else 0)


# All findings of a case ask for it.
@lru_cache(maxsize=8)
def several(case: Case, ignored: frozenset[str] = frozenset()) -> tuple[Remedy, ...]:
    """Return the changes that leave the longest stack of which no rule is broken, if any does.

    They are another gain, no biases, standard inputs, a larger width and fewer layers: those of
    them without which it would not hold. Rules that are `ignored` may stay broken.
    """
    case = case.thought
    candidates = _candidates(case)
    best = next(chain.from_iterable(_whole(case, changes, ignored) for changes in candidates), None)
    most = case.limit
    if best is None:
        most = 0
        for changes in candidates:
            # What is left as it is may well stay so, if only there are fewer layers.
            if most and len(changes) > 1:
                break
            for depth in _shortened(case, changes, ignored, more_than=most):
                most, best = depth, changes
    if best is None:
        return ()
    shorter: Changes = {} if most == case.limit else {"depth": most}
    for name in list(best):
        fewer = {key: value for key, value in best.items() if key != name}
        if (fewer or shorter) and sound(case.changed(**fewer, **shorter), ignored):
            best = fewer
    return (change(case, **best, **shorter),)


def _candidates(case: Case) -> list[Changes]:
    """Return what to try: other gains, then the same without biases and with standard inputs."""
    plain: Changes = {}
    if case.layer.bias_std > 0:
        plain["bias_std"] = 0.0
    inputs = standard(case)
    if inputs is not None:
        plain["inputs"] = inputs
    found = []
    for start in ({}, plain) if plain else ({},):
        base = case.changed(**start)
        found.append(start)
        found += [{**start, "weight_gain": gain} for gain, _ in holding_gains(base)]
    return found


def _whole(case: Case, changes: Changes, ignored: frozenset[str]) -> Iterator[Changes]:
    """Yield `changes`, with a larger width if need be, if all layers then break no rule."""
    changed = case.changed(**changes)
    if survival(changed) < case.limit:
        return
    broken = look(changed)
    if broken.keys() <= ignored:
        yield changes
    elif broken.keys() - ignored == {TOO_NARROW}:
        for remedy in wider(changed, broken[TOO_NARROW]):
            if remedy.case is not None and sound(remedy.case, ignored):
                yield {**changes, "width": remedy.case.stack.width}


def _shortened(
    case: Case, changes: Changes, ignored: frozenset[str], more_than: int
) -> Iterator[int]:
    """Yield the most layers, more than `more_than`, with which a case so changed breaks no rule.

    It is looked for by halving: what holds for a stack mostly holds for a shorter one.
    """
    beyond = min(survival(case.changed(**changes)) + 1, case.limit)
    longest = case.changed(**changes, depth=beyond)

    def holds(depth: int) -> bool:
        return sound(longest.changed(depth=depth), ignored)

    depth = beyond - 1
    while depth > more_than and not holds(depth):
        beyond, depth = depth, depth // 2
    if depth > more_than:
        while beyond - depth > 1:
            middle = (depth + beyond) // 2
            depth, beyond = (middle, beyond) if holds(middle) else (depth, middle)
        yield depth
