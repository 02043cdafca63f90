"""What to try where a network of any layers breaks a rule: its inputs, and knobs of its layers."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from snstat.checks.applying import lost
from snstat.checks.case import Case
from snstat.checks.chance import too_narrow
from snstat.checks.look import ORDER, looked
from snstat.checks.masks import dropout_decides
from snstat.checks.network_case import NetworkCase
from snstat.checks.network_changes import fewer, layer_changes, repeated, with_gains
from snstat.checks.rule import Rule
from snstat.checks.stack_case import StackCase
from snstat.checks.theorems import leaves_theorems
from snstat.experiment.inputs import DrawnInputs
from snstat.network.network import Network

# Of deeper networks, only other inputs are tried: theory of each change takes time and memory.
MOST_LAYERS = 20_000
# The gain that keeps the second moment is looked for between these, by halving, to 4 digits.
LEAST_GAIN, MOST_GAIN, HALVINGS, TUNED_DIGITS = 0.1, 10.0, 16, 4


class Change(NamedTuple):
    """A network to try, and the change that leads to it, in the words of its file."""

    words: str
    case: NetworkCase


def network_remedy(rule: Rule, case: Case, codes: set[str]) -> str:
    """Return the first change after which no rule is broken, else the first after which this one
    holds and no other is newly broken, or nothing.

    Changes are tried out by theory, so that has to find the rule broken without them, and may not
    know less of the changed network, nor leave a rule that was judged without anything to judge.
    Where none is left, weights outside a theorem have a change after which they are within it,
    whatever that does to other rules.
    """
    if isinstance(case, StackCase):
        case = _of_file(case)
    if not isinstance(case, NetworkCase) or looked(case.thought, rule.code) is None:
        return ""
    partial, others = "", codes - {rule.code}
    for change in changes(case):
        if _unknown(change.case, rule) > _unknown(case, rule):
            continue
        if _holds(change.case, ()) and not lost(case, change.case):
            return change.words
        if not partial and _holds(change.case, others) and not lost(case, change.case):
            partial = change.words
    for allowed in ((),) if partial else ((), others):
        shorter = _shorter(case, allowed, codes)
        if shorter:
            return shorter
    if not partial and rule is leaves_theorems:
        return _within_theorems(case)
    return partial


def _within_theorems(case: NetworkCase) -> str:
    """Return the first change of weights after which the theorem holds for them, which takes no
    theory of layers; "" for none."""
    for words, network in layer_changes(case.network):
        if leaves_theorems(case.changed(network)) is None:
            return f"for {leaves_theorems.code} alone, {words}"
    return ""


def _of_file(case: StackCase) -> Case:
    """Return the case of the network file that describes a stack, to be mended in its words."""
    assert case.run is not None  # noqa: S101  # for the type checker
    assert case.run.network is not None  # noqa: S101
    network = Network.read(case.run.network.form)
    shared = case.batch, case.inputs, case.bounds, case.run
    return NetworkCase(network, *shared, tick=case.tick, train=case.run.simulation.train)


def _unknown(case: NetworkCase, rule: Rule) -> int:
    """Return how many values that rules look at theory does not know, those that only `rule` looks
    at among them."""
    values = [case.predicted("second_moment"), case.predicted("cosine"), case.gradients]
    if rule is too_narrow:
        values.append(case.fluctuation)
    if rule is dropout_decides:
        values.append(case.masked_cosine)
    return sum(int(np.isnan(value).sum()) for value in values)


def _holds(case: NetworkCase, allowed: Collection[str]) -> bool:
    """Return whether no rule is broken except those `allowed`. Stops at the first one."""
    return all(code in allowed or looked(case, code) is None for code in ORDER)


def changes(case: NetworkCase) -> Iterator[Change]:
    """Yield what to try, the mildest first, but for fewer repetitions."""
    standard = standard_inputs(case)
    if standard is not None:
        yield standard
    if case.depth > MOST_LAYERS:
        return
    for words, network in layer_changes(case.network):
        inputs = None
        if network.input != case.network.input:
            if not case.inputs.drawn:
                continue
            law = case.network.law
            drawn = DrawnInputs(law.kind, network.input.units, case.batch, law.mean, law.std)
            inputs = drawn.moments()
        yield Change(words, case.changed(network, inputs))
    yield from _tuned(case)


def _tuned(case: NetworkCase) -> Iterator[Change]:
    """Yield the gain of all weights with which the last layer has the second moment of the input,
    by halving: it grows with the gain."""
    low, high, found = LEAST_GAIN, MOST_GAIN, None
    # Samples that are alike have the same second moment, and theory of them takes far less time.
    alike = replace(case.inputs, cosine=1.0, variance_over_batch=0.0)
    for _ in range(HALVINGS):
        gain = math.sqrt(low * high)
        found = next(with_gains(case.network, [gain], TUNED_DIGITS), found)
        if found is None:
            return
        second = case.changed(found.network, alike).predicted("second_moment")
        # There is no theory of squares that overflow.
        larger = not float(second[-1]) <= case.inputs.second_moment
        low, high = (low, gain) if larger else (gain, high)
    if found is not None:
        yield Change(found.words, case.changed(found.network))


def _shorter(case: NetworkCase, allowed: Collection[str], codes: Collection[str]) -> str:
    """Return the change to the most repetitions of a block with which only the rules `allowed` are
    broken, "" for none. What holds for many mostly holds for fewer, so they are halved.

    A block of few repetitions has no limit to judge. Rules of it that held still do; those among
    `codes`, which are broken, may not be left without it.
    """
    for name, times in repeated(case.network) if case.depth <= MOST_LAYERS else ():
        words, few, many = "", 0, times
        while many - few > 1:
            middle = (few + many) // 2
            found = fewer(case.network, name, middle)
            changed = None if found is None else case.changed(found.network)
            if found and changed and _holds(changed, allowed) and not lost(case, changed, codes):
                words, few = found.words, middle
            else:
                many = middle
        if words:
            return words
    return ""


def standard_inputs(case: NetworkCase) -> Change | None:
    """Return the network with drawn inputs of mean 0 and variance 1, None where they are that."""
    old, law = case.inputs, case.network.law
    if not old.drawn or case.network.input.tokens or (old.mean, old.variance) == (0.0, 1.0):
        return None
    drawn = DrawnInputs(law.kind, case.network.input.units, case.batch, 0.0, 1.0)
    words = []
    if old.mean != 0:
        words.append(f"--input-mean 0 (now {old.mean:.4g})")
    if old.variance != 1:
        words.append(f"--input-std 1 (now {math.sqrt(old.variance):.4g})")
    return Change(f"use {' and '.join(words)}", case.changed(case.network, drawn.moments()))
