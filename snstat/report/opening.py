"""What stands above a run's table: the network, the sampling, the verdict, and what theory says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from snstat.report.check_words import complaint, place, rule_words, verdict_words
from snstat.report.columns import INFINITE, infinite_width
from snstat.report.words import broken_layers, gradient_sentence, interruption, limit_sentence

if TYPE_CHECKING:
    from snstat.results import Check, Run


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement about a run; `alarming` ones say that something is wrong, and `indent` ones
    give the details of the statement before."""

    text: str
    alarming: bool = False
    indent: bool = False


def opening(run: Run, check: Check | None = None) -> list[Sentence]:
    """Return the statements above a run's table, most urgent first.

    `check` is the verdict on the run by the rules and default bounds of `snstat check`; without
    one, the verdict is left out.
    """
    sentences = [
        Sentence(text, alarming=True) for text in (interruption(run), broken_layers(run)) if text
    ]
    if check is not None:
        failed = not check.passed
        sentences.append(Sentence(f"Verdict: {verdict_words(check)}", alarming=failed))
        for finding in check.findings:
            where = ", ".join(filter(None, (rule_words(finding), place(finding))))
            sentences.append(Sentence(f"{where}: {complaint(finding)}", indent=True))
    facts = (limit_sentence(run), gradient_sentence(run))
    return sentences + [Sentence(text) for text in facts if text]


def theory_words(run: Run) -> str:
    """Return which theory stands beside the estimates, or nothing where there is none."""
    columns = run.statistics.values()
    expected = any(np.isfinite(column.expected).any() for column in columns)
    limit = any(infinite_width(column).any() for column in columns)
    if not expected:
        return "theory: infinite width" if limit else ""
    width = f"width {run.stack.width:,}" if run.stack.widths is None else "these widths"
    words = f"theory: first order at {width}"
    return f"{words}; {INFINITE} infinite width" if limit else words
