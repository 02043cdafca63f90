"""What to try where a network of any layers breaks a rule: its inputs, and knobs of its layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from snstat.checks.applying import lost
from snstat.checks.case import Case
from snstat.checks.chance import too_narrow
from snstat.checks.look import ORDER, looked
from snstat.checks.masks import dropout_decides
from snstat.checks.network_case import NetworkCase
from snstat.checks.network_changes import fewer, layer_changes, repeated, with_gains
from snstat.checks.network_clauses import Change, Set, tried
from snstat.checks.rule import Rule
from snstat.checks.stack_case import StackCase
from snstat.checks.theorems import leaves_theorems
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.theory_room import seconds_of_samples
from snstat.layers.keys import INPUT
from snstat.network.editing import Draft
from snstat.network.input_law import InputLaw
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.theory.start import Followed

# Of deeper networks, only other inputs are tried: theory of each change takes time and memory. So
# does that of samples of data, in seconds.
MOST_LAYERS, MOST_SECONDS = 20_000, 0.05
# The gain that keeps the second moment is looked for between these, by halving, to 4 digits.
LEAST_GAIN, MOST_GAIN, HALVINGS, TUNED_DIGITS = 0.1, 10.0, 16, 4


@dataclass(frozen=True)
class Attempt:
    """A network to try, and what returns the `words` of the change that leads to it, in those of
    the network's file."""

    case: NetworkCase
    words: Callable[[], str]


def network_remedy(rule: Rule, case: Case, broken: Collection[str], chosen: Collection[str]) -> str:
    """Return the first change after which no rule of those `chosen` is broken and no other is newly
    broken, else the first after which this one holds and no other is newly broken, or nothing.
    Fewer repetitions of a block are tried last, of which the same holds.

    Changes are tried out by theory, so that has to find the rule broken without them, and may not
    know less of the changed network, nor leave a rule that was judged without anything to judge.
    Where none is left, weights outside a theorem have a change after which they are within it,
    whatever that does to other rules. `broken` are the rules that the network breaks.
    """
    if isinstance(case, StackCase):
        case = _of_file(case)
    if not isinstance(case, NetworkCase) or looked(case.thought, rule.code) is None:
        return ""
    draft = case.once("draft", lambda case: Draft.of(case.network, case.written))
    partial, unchosen, others = None, {*broken} - {*chosen}, {*broken} - {rule.code}
    for found in attempts(case, draft):
        if _unknown(found.case, rule) > _unknown(case, rule):
            continue
        if _holds(found.case, unchosen) and not lost(case, found.case):
            return found.words()
        if not partial and _holds(found.case, others) and not lost(case, found.case):
            partial = found
    if partial:
        return partial.words()
    for allowed in (unchosen, others):
        shorter = _shorter(case, draft, allowed, broken)
        if shorter:
            return shorter
    return _within_theorems(case, draft) if rule is leaves_theorems else ""


def _within_theorems(case: NetworkCase, draft: Draft) -> str:
    """Return the first change of weights after which the theorem holds for them, which takes no
    theory of layers; "" for none."""
    for change in layer_changes(draft):
        if leaves_theorems(case.changed(change.network)) is None:
            return f"for {leaves_theorems.code} alone, {change.words}"
    return ""


def _of_file(case: StackCase) -> Case:
    """Return the case of the network file that describes a stack, to be mended in its words."""
    assert case.run is not None  # noqa: S101  # for the type checker
    assert case.run.network is not None  # noqa: S101
    network = Network.read(case.run.network.form)
    shared = case.batch, case.inputs, case.bounds, case.run
    train = case.run.simulation.train
    return NetworkCase(network, *shared, written=case.written, tick=case.tick, train=train)


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


def attempts(case: NetworkCase, draft: Draft) -> Iterator[Attempt]:
    """Yield what to try, the mildest first, but for fewer repetitions."""
    standard = standard_inputs(case, draft)
    if standard is not None:
        yield standard
    if _long(case):
        return
    for change in layer_changes(draft):
        inputs = None
        if change.network.input != case.network.input:
            if not case.inputs.drawn:
                continue
            old = case.inputs  # options may have replaced the law of the file
            law = replace(case.network.law, mean=old.mean, std=math.sqrt(old.variance))
            inputs = _drawn(case, change.network, law).moments()
        yield _attempt(case, change, inputs)
    yield from _tuned(case, draft)


def _long(case: NetworkCase) -> bool:
    """Return whether theory of each change takes long."""
    samples = case.inputs.samples
    if samples is None or not case.network.input.grid:
        return case.depth > MOST_LAYERS
    of = Followed(len(samples.values), *samples.batches.shape)
    return seconds_of_samples(case.network, of) > MOST_SECONDS


def _attempt(case: NetworkCase, change: Change, inputs: InputMoments | None = None) -> Attempt:
    return Attempt(case.changed(change.network, inputs), lambda: change.words)


def _drawn(case: NetworkCase, network: Network, law: InputLaw) -> DrawnInputs:
    return DrawnInputs(law.kind, network.input.units, case.batch, law.mean, law.std)


def _tuned(case: NetworkCase, draft: Draft) -> Iterator[Attempt]:
    """Yield the gain of all weights with which the last layer has the second moment of the input,
    by halving: it grows with the gain."""
    low, high, found = LEAST_GAIN, MOST_GAIN, None
    # Samples that are alike have the same second moment, and theory of them takes far less time.
    alike = replace(case.inputs, cosine=1.0, variance_over_batch=0.0)
    for _ in range(HALVINGS):
        gain = math.sqrt(low * high)
        found = next(with_gains(draft, [gain], TUNED_DIGITS), found)
        if found is None:
            return
        second = case.changed(found.network, alike).predicted("second_moment")
        # There is no theory of squares that overflow.
        larger = not float(second[-1]) <= case.inputs.second_moment
        low, high = (low, gain) if larger else (gain, high)
    if found is not None:
        yield _attempt(case, found)


def _shorter(
    case: NetworkCase, draft: Draft, allowed: Collection[str], broken: Collection[str]
) -> str:
    """Return the change to the most repetitions of a block with which only the rules `allowed` are
    broken, "" for none. What holds for many mostly holds for fewer, so they are halved.

    A block of few repetitions has no limit to judge. Rules of it that held still do; those that are
    `broken` may not be left without it.
    """
    for name, times in () if _long(case) else repeated(draft):
        best, few, many = None, 0, times
        while many - few > 1:
            middle = (few + many) // 2
            found = fewer(draft, name, middle)
            changed = None if found is None else case.changed(found.network)
            if changed and _holds(changed, allowed) and not lost(case, changed, broken):
                best, few = found, middle
            else:
                many = middle
        if best is not None:
            return best.words
    return ""


def standard_inputs(case: NetworkCase, draft: Draft) -> Attempt | None:
    """Return the network with drawn inputs of mean 0 and variance 1, None where they are that."""
    old, law = case.inputs, case.network.law
    if not old.drawn or case.network.input.tokens or (old.mean, old.variance) == (0.0, 1.0):
        return None
    moments = _drawn(case, case.network, replace(law, mean=0.0, std=1.0)).moments()
    clauses, options = [], []
    std = math.sqrt(old.variance)
    for key, value, now, own in (
        ("mean", 0.0, old.mean, old.mean == law.mean),
        ("std", 1.0, std, old.variance == law.std**2),
    ):
        if now == value:
            continue
        if own and draft.written.file:
            clauses.append(Set(key, [INPUT], value, f"{now:.4g}"))
        else:
            options.append(f"--input-{key} {value:g} (now {now:.4g})")
    network = case.network

    def say() -> str:
        words = [change.words for change in tried(draft, *clauses)]
        return " and ".join(words + ([f"use {' and '.join(options)}"] if options else []))

    return Attempt(case.changed(network, moments), say)
