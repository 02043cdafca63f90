"""What to try where one thing does not help: fewer layers, or several changes together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from snstat.activation import display_name
from snstat.checks.drift import drifts
from snstat.checks.gains import holding_gains, near_gains, survival
from snstat.checks.look import beginnings, look, looked, sound, unsteady
from snstat.checks.remedies import change, standard, wider, widest
from snstat.checks.rule import Broken, Remedy
from snstat.checks.stack_case import StackCase

TOO_NARROW = "SN502"
# A target that no stack of this kind can reach is no reason to leave all else as it is.
TARGET = frozenset({"SN103", "SN104"})
# Where less than this share of the layers is left, a wider network is looked at too.
FEW = 8
# Of so many changes of more than the gain, those that keep the signal longest, fewer layers are
# tried.
PROMISING = 4
# Rules that tell the layer before which they hold, those that compare samples last: they take
# longest, and then see only the layers that the others leave.
LAYERED = ("SN101", "SN102", "SN502", "SN302", "SN401", "SN301")
Changes = dict[str, Any]


def last_resorts(case: StackCase, broken: Broken) -> Iterator[Remedy]:
    """Yield fewer layers, alone or with other changes, the longest stack first: those before the
    one that breaks this rule, those before any rule is broken, and what `several` finds."""
    found_in = (how.layer for code, how in look(case).items() if code != drifts.code)
    layers = [broken.layer, *found_in]
    depths = sorted({layer - 1 for layer in layers if layer is not None and layer > 1})
    found = [change(case, depth=depth) for depth in dict.fromkeys(depths[:1] + depths[-1:])]
    target = TARGET.intersection(look(case))
    found += several(case) or (several(case, target) if target else ())
    found.sort(key=lambda remedy: -remedy.case.limit if remedy.case else 0)
    yield from (_or_normalise(case, remedy) for remedy in found)


def _or_normalise(case: StackCase, remedy: Remedy) -> Remedy:
    """Return `remedy` with what else there is where it leaves fewer layers."""
    if remedy.case is None or remedy.case.limit >= case.limit:
        return remedy
    layers = f"{case.limit:,} {display_name(case.layer.activation)} layers"
    widths = "these widths" if case.width is None else "this width"
    words = f"no gain keeps {layers} of {widths} stable: {remedy.words}"
    return replace(remedy, words=f"{words}, or normalise between layers")


def several(case: StackCase, ignored: frozenset[str] = frozenset()) -> tuple[Remedy, ...]:
    """Return the changes that leave the longest stack of which no rule is broken, if any does.

    They are another gain, no biases, standard inputs, a larger width and fewer layers: those of
    them without which it would not hold. Rules that are `ignored` may stay broken.
    """
    return case.thought.once(("several", ignored), partial(_several, ignored))


def _several(ignored: frozenset[str], case: StackCase) -> tuple[Remedy, ...]:
    tried = ((attempt, to) for attempt in (_as_wide, _wider) for to in _candidates(case))
    best = next(chain.from_iterable(attempt(case, to, ignored) for attempt, to in tried), None)
    most = case.limit
    if best is None:
        candidates = list(_candidates(case))
        most, best = _most(case, candidates, ignored)
        width = case.width
        if most < case.limit // FEW and width is not None and widest(width) > width:
            # More of them may be left of a wider network.
            wide = [{**changes, "width": widest(width)} for changes in candidates]
            depth, changes = _most(case, wide, ignored)
            if changes is not None and depth > FEW * most:
                most, best = depth, _narrowed(case, width, {**changes, "depth": depth}, ignored)
                best.pop("depth")
    if best is None:
        return ()
    shorter: Changes = {} if most == case.limit else {"depth": most}
    for name in list(best):
        fewer = {key: value for key, value in best.items() if key != name}
        if (fewer or shorter) and _holds(case, case.changed(**fewer, **shorter), ignored):
            best = fewer
    return (change(case, **best, **shorter),)


def _most(
    case: StackCase, candidates: list[Changes], ignored: frozenset[str]
) -> tuple[int, Changes | None]:
    """Return the most layers that any of the changes leaves of a sound stack, and which it is."""
    most, best = 0, None
    plain = [entry for entry in candidates if entry.keys() <= {"weight_gain", "width"}]
    others = [entry for entry in candidates if entry not in plain]
    for group in (plain, others):
        group.sort(key=lambda changes: -survival(case.changed(**changes)))
    for changes in plain + others[:PROMISING]:
        # What is left as it is may well stay so, if only there are fewer layers.
        if most and not changes.keys() <= {"weight_gain", "width"}:
            break
        # One layer more than are left already is a fast look.
        if most and not _holds(case, case.changed(**changes, depth=most + 1), ignored):
            continue
        depth = _shortened(case, changes, ignored, more_than=most)
        if depth:
            most, best = depth, changes
    return most, best


def _narrowed(case: StackCase, narrow: int, changes: Changes, ignored: frozenset[str]) -> Changes:
    """Return changes that leave a sound stack with about the least width, more than `narrow`, of
    which they do."""
    wide = changes["width"]
    while wide - narrow > max(wide // 16, 1):
        middle = (narrow + wide) // 2
        holds = _holds(case, case.changed(**{**changes, "width": middle}), ignored)
        narrow, wide = (narrow, middle) if holds else (middle, wide)
    return {**changes, "width": wide}


def _candidates(case: StackCase) -> Iterator[Changes]:
    """Yield what to try: other gains, then the same without biases, with standard inputs, both, and
    last other gains near the tuned one, which take longest to find."""
    plain: Changes = {}
    if case.layer.bias_std > 0:
        plain["bias_std"] = 0.0
    inputs = standard(case)
    if inputs is not None:
        plain["inputs"] = inputs
    starts = [{}, *({name: value} for name, value in plain.items())]
    if len(plain) > 1:
        starts.append(plain)
    for start in starts:
        yield start
        for gain, _ in holding_gains(case.changed(**start)):
            yield {**start, "weight_gain": gain}
    # What of the other changes is not needed is left out again at the end.
    for gain in near_gains(case.changed(**starts[-1])):
        yield {**starts[-1], "weight_gain": gain}


def _as_wide(case: StackCase, changes: Changes, ignored: frozenset[str]) -> Iterator[Changes]:
    """Yield `changes` if no layer then breaks a rule."""
    changed = case.changed(**changes)
    if survival(changed) == case.limit and _holds(case, changed, ignored):
        yield changes


def _holds(case: StackCase, changed: StackCase, ignored: frozenset[str]) -> bool:
    """Return whether a changed case breaks no rule, with a margin if its layers are others."""
    return sound(changed, ignored) and (changed.layer == case.layer or unsteady(changed) is None)


def _wider(case: StackCase, changes: Changes, ignored: frozenset[str]) -> Iterator[Changes]:
    """Yield `changes` with larger widths if then no layer breaks a rule, where all that lacks
    without them is width: they break the rule of widths, or leave no margin."""
    changed, width = case.changed(**changes), case.width
    if width is None or survival(changed) < case.limit:
        return
    if not sound(changed, ignored | {TOO_NARROW}):
        return
    narrow = looked(changed, TOO_NARROW)
    if narrow is None:
        wide = {**changes, "width": widest(width)}
        if _holds(case, case.changed(**wide), ignored):
            yield _narrowed(case, width, wide, ignored)
    else:
        for remedy in wider(changed, narrow):
            found = remedy.case
            if found is not None and found.width is not None and _holds(case, found, ignored):
                yield {**changes, "width": found.width}


def _broken_layer(case: StackCase, ignored: frozenset[str], *, steady: bool) -> int | None:
    """Return a layer where the second moment leaves no margin, if it has to be `steady`, or where
    the first of the rules that tell one is broken; None if there is none."""
    margin = unsteady(case) if steady else None
    if margin is not None:
        return margin
    found = (looked(case, code) for code in LAYERED if code not in ignored)
    return next((how.layer for how in found if how is not None and how.layer is not None), None)


def _shortened(case: StackCase, changes: Changes, ignored: frozenset[str], more_than: int) -> int:
    """Return the most layers, more than `more_than`, with which a case so changed breaks no rule, 0
    for none.

    Rules that tell the layer where they are first broken say how many may be left. Else it is
    looked for by halving: what holds for a stack mostly holds for a shorter one.
    """
    beyond = min(survival(case.changed(**changes)) + 1, case.limit)
    longest = case.changed(**changes, depth=beyond)
    for depth in beginnings(longest):
        # The last rules have to be asked of few layers, if these break one of them.
        layer = _broken_layer(longest.changed(depth=depth), ignored, steady=False)
        if layer is not None:
            beyond = min(layer, beyond)
            break
    depth = beyond - 1
    while depth > more_than:
        shorter = longest.changed(depth=depth)
        layer = _broken_layer(shorter, ignored, steady=shorter.layer != case.layer)
        if layer is not None:
            beyond = min(layer, depth)
            depth = beyond - 1
        elif sound(shorter, ignored):
            break
        else:
            beyond, depth = depth, depth // 2
    if depth <= more_than:
        return 0
    while beyond - depth > 1:
        middle = (depth + beyond) // 2
        holds = _holds(case, longest.changed(depth=middle), ignored)
        depth, beyond = (middle, beyond) if holds else (depth, middle)
    return depth
