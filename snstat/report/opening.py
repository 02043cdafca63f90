"""The statements above a run's table: problems, the verdict, and the outlook by theory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from snstat.report.check_words import complaint, place, rule_words, verdict_words
from snstat.report.columns import INFINITE, Column
from snstat.report.given_words import ensemble_sentence
from snstat.report.module_words import producer_words
from snstat.report.network_words import width_words
from snstat.report.numbers import plain
from snstat.report.words import (
    broken_layers,
    count,
    gradient_sentence,
    interruption,
    limit_sentence,
)
from snstat.results import FEW_TRIALS, GRADIENT, NO_THEORY, OF_BATCH_NORM, contradictions

if TYPE_CHECKING:
    from snstat.results import Check, Run


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement about a run. `alarming` statements report a problem, and `indent` statements
    give details of the one before."""

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
    if run.module is not None and run.module.nonfinite is not None:
        sentences.append(Sentence(producer_words(run.module), indent=bool(sentences)))
    if check is not None:
        failed = not check.passed
        sentences.append(Sentence(f"Verdict: {verdict_words(check)}", alarming=failed))
        for finding in check.findings:
            where = ", ".join(filter(None, (rule_words(finding), place(finding))))
            sentences.append(Sentence(f"{where}: {complaint(finding)}", indent=True))
        told = (NO_THEORY, OF_BATCH_NORM) if GRADIENT in run.statistics else NO_THEORY
        notes = [note for note in check.notes if note.startswith(told) or FEW_TRIALS in note]
        sentences += [Sentence(f"{note[0].upper()}{note[1:]}.") for note in notes]
    facts = (
        population_sentence(run), limit_sentence(run), gradient_sentence(run), *contradicted(run),
        ensemble_sentence(run),
    )  # fmt: skip
    return sentences + [Sentence(text) for text in facts if text]


def population_sentence(run: Run) -> str:
    """Return what stands for the network in the limit of infinite width, "" for the network."""
    units = run.simulation.infinite_width
    if units is None:
        return ""
    return (
        f"Estimates are of a population of {count(units, 'unit')} that stands for infinite width,"
        " not of the network at its own widths."
    )


def contradicted(run: Run) -> Iterator[str]:
    """Yield what the simulation says that differs much from the sentences, which are theory."""
    for name, layer in contradictions(run):
        statistic = run.statistics[name]
        seen, theory = float(statistic.estimate[layer]), float(statistic.reference[layer])
        if name == GRADIENT and seen == 0:
            yield "The squared gradient at layer 0 is 0 in at least one simulated network."
            continue
        what = "squared gradient" if name == GRADIENT else "second moment"
        yield (
            f"The simulated networks differ from this: {what} {plain(seen, 3)} at layer {layer},"
            f" theory {plain(theory, 3)}."
        )


def theory_words(run: Run, columns: Sequence[Column]) -> str:
    """Return which theory `columns` of the table of `run` show, or an empty string for none."""
    shown = [column for column in columns if column.part == "t"]
    if not any(cell.strip() for column in shown for cell in column.cells):
        return ""
    marks = any(cell.rstrip().endswith(INFINITE) for column in shown for cell in column.cells)
    known = any(np.isfinite(run.statistics[column.group].expected).any() for column in shown)
    if not known:
        return "theory: infinite width"
    units = run.simulation.infinite_width
    where = width_words(run.subject) if units is None else f"in a population of {units:,}"
    words = f"theory: first order {where}"
    if run.given is not None:
        words = "theory: unit map with the sums of every unit's own weights"
        return f"{words}; {INFINITE} of independent weights, infinite width" if marks else words
    return f"{words}; {INFINITE} infinite width" if marks else words
