"""The verdict on a file of weights."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from snstat.checks.rules import choose
from snstat.checks.weights_initialisers import default_under_selu, other_initialiser
from snstat.checks.weights_rule import Flaw, WeightsCase, WeightsRule
from snstat.checks.weights_rules import WEIGHTS_RULES
from snstat.errors import name_words
from snstat.results import Check, Finding, WeightsSummary

SOUND = "sound"


def chosen(select: Iterable[str], ignore: Iterable[str]) -> frozenset[str]:
    """Return the codes of the rules of weights to apply; raises as `choose`."""
    return choose(select, ignore, among=WEIGHTS_RULES)


def judge_weights(
    case: WeightsCase,
    codes: Collection[str],
    *,
    name: str,
    baseline: str | os.PathLike[str] | None = None,
) -> Check:
    """Return the verdict on weights by the rules `codes`."""
    found = {code: rule(case) for code, rule in WEIGHTS_RULES.items()}
    broken = {code: flaw for code, flaw in found.items() if flaw is not None}
    verdicts = [WEIGHTS_RULES[code].verdict for code in broken]
    summary = WeightsSummary(
        case.weights.file,
        len(case.weights.tensors),
        len(case.weights.skipped),
        None if case.activation is None else case.activation.name,
        case.init,
    )
    return Check(
        name=name,
        verdict=next(filter(None, verdicts), SOUND),
        findings=tuple(
            _finding(WEIGHTS_RULES[code], flaw) for code, flaw in broken.items() if code in codes
        ),
        subject=summary,
        simulation=None,
        notes=tuple(_notes(case, codes, baseline)),
        baseline=None if baseline is None else os.fspath(baseline),
    )


def _finding(rule: WeightsRule, flaw: Flaw) -> Finding:
    message = f"{flaw.text}; {flaw.remedy}"
    return Finding(rule.code, rule.name, None, flaw.value, flaw.bound, message, flaw.remedy)


def _notes(
    case: WeightsCase, codes: Collection[str], baseline: str | os.PathLike[str] | None
) -> list[str]:
    """Return what could not be judged, and why."""
    notes = []
    missing = []
    if case.init is None and baseline is None and other_initialiser.code in codes:
        missing.append((other_initialiser.code, "--init"))
    if case.activation is None and default_under_selu.code in codes:
        missing.append((default_under_selu.code, "--activation"))
    if missing:
        rules, options = (" and ".join(words) for words in zip(*missing, strict=True))
        notes.append(f"{rules} not judged: give {options}")
    if not case.weights.tensors:
        notes.append("the file has no weight matrices")
    held = {tensor.name for tensor in case.weights.tensors}
    gone = [name for name in case.baseline if name not in held]
    if gone:
        first = name_words(gone[0])
        if len(gone) == 1:
            notes.append(f"{first} of the baseline is not here")
        else:
            notes.append(f"{len(gone):,} matrices of the baseline are not here, such as {first}")
    return notes
