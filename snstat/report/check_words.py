"""A check in words, shared by all output formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snstat.errors import escaped, printable
from snstat.report.network_words import network_words, sampling_words
from snstat.report.words import SEPARATOR, count
from snstat.results import SOUND

if TYPE_CHECKING:
    from snstat.results import Check, Finding

# Characters that may separate the complaint from the remedy.
SEPARATORS = " ,;:."


def headline(check: Check) -> str:
    """Return "default: gradient-exploding", or "default: stable, but breaks SN104, SN701"."""
    return f"{check.name}: {verdict_words(check)}"


def verdict_words(check: Check) -> str:
    """Return "gradient-exploding", or "stable, but breaks SN104, SN701"."""
    codes = dict.fromkeys(finding.code for finding in check.findings)
    but = f", but breaks {', '.join(codes)}" if codes and check.verdict in SOUND else ""
    return f"{check.verdict}{but}"


def outcome(check: Check) -> str:
    """Return "passed" or "failed"."""
    return "passed" if check.passed else "failed"


def tally(checks: Sequence[Check]) -> str:
    """Return "2 of 3 checks passed"."""
    passed = sum(check.passed for check in checks)
    return f"{passed:,} of {count(len(checks), 'check')} passed"


def summary(checks: Sequence[Check]) -> str:
    """Return "2 of 3 checks passed; failed: relu"."""
    failed = [check.name for check in checks if not check.passed]
    return tally(checks) + (f"; failed: {', '.join(failed)}" if failed else "")


def rule_words(finding: Finding) -> str:
    """Return "SN202 gradient-exploding"."""
    return f"{finding.code} {finding.name}"


def place(finding: Finding) -> str:
    """Return "layer 17", "layer 17 (encoder.norm)" of a traced module, or an empty string if the
    finding has no layer."""
    if finding.layer is None:
        return ""
    named = "" if finding.path is None else f" ({escaped(finding.path)})"
    return f"layer {finding.layer}{named}"


def finding_words(finding: Finding) -> str:
    """Return the finding on one line: "SN202 gradient-exploding, layer 17: ...; use ..."."""
    head = ", ".join(filter(None, (rule_words(finding), place(finding))))
    return f"{head}: {finding.message}"


def complaint(finding: Finding) -> str:
    """Return the message without the remedy at its end."""
    if not finding.remedy or not finding.message.endswith(finding.remedy):
        return finding.message
    return finding.message.removesuffix(finding.remedy).rstrip(SEPARATORS)


def subject_words(check: Check) -> str:
    """Return what was judged: a network, or "model.npz · 3 weight matrices"."""
    if check.subject.what != "weights":
        return network_words(check.subject)
    subject = check.subject
    declared = [words for words in (subject.activation, subject.init) if words]
    matrices = f"{subject.matrices:,} weight {'matrix' if subject.matrices == 1 else 'matrices'}"
    return SEPARATOR.join([printable(escaped(subject.file or "weights"), 200), matrices, *declared])


def circumstances(check: Check) -> list[str]:
    """Return one line each for the stack, sampling, baseline and source."""
    lines = [subject_words(check)]
    if check.simulation is not None and check.subject.what != "weights":
        lines.append(sampling_words(check.subject, check.simulation))
    if check.baseline is not None:
        lines.append(f"compared with {check.baseline}")
    if check.source is not None:
        lines.append(f"declared at {check.source.path}:{check.source.line}")
    return lines
