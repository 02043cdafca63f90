"""Notes on a verdict: what could not be judged, and how a run differs from its baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from snstat.activation import Activation, resolve
from snstat.checks.case import Case
from snstat.checks.matching import unmatched
from snstat.checks.module_case import ModuleCase
from snstat.checks.network_case import NetworkCase
from snstat.checks.pairs import comparable
from snstat.checks.stack_case import StackCase
from snstat.errors import escaped
from snstat.layers.batch_norm import ENDLESS, UNSETTLED
from snstat.results import GRADIENT, NO_THEORY, Record, Run, Simulation, StackSummary
from snstat.theory.repeated import LEAST_TIMES, repeated_block

# With fewer trials Student's t asks for tens of standard errors.
ENOUGH = 4
# Fields that differ between any two runs, or that other notes describe.
NOT_TOLD = {"seed", "sampler", "drawn", "given", "inputs_digest"}
# Those of a module that follow from its calls.
NOT_TOLD |= {"rows", "theory_ends", "nonfinite", "not_called", "skipped", "notes", "input_shape"}


def few_trials(run: Run) -> list[str]:
    """Return a note on the limits of few trials."""
    trials = run.simulation.trials
    if not 1 < trials < ENOUGH:
        return []
    return [f"{trials} trials detect only large differences: use --trials {ENOUGH} or more"]


def not_judged(case: Case) -> list[str]:
    """Return notes on what cannot be judged with these inputs."""
    notes = []
    cosine = float(case.known("cosine")[case.angles_from])
    zeros = float(np.fmax(case.seen("zero_samples"), case.predicted("zero_samples"))[0])
    if zeros > 0 and case.batch > 1:
        notes.append(f"{zeros:.2%} of the samples are all zeros; the cosine leaves them out")
    if not comparable(cosine):
        what = "there is one sample" if case.batch == 1 else "all inputs are alike"
        if math.isnan(cosine) and case.batch > 1:
            what = "the samples are too small for their squares"
            if isinstance(case, ModuleCase):
                what = "no layer has samples that can be compared"
            if zeros > 0:
                what = "fewer than two samples of a batch are not zero"
        notes.append(f"SN301 not judged: {what}")
    if not case.theory_holds:
        notes.append(
            "the norms of the samples are not known, so theory uses their average; measured values"
            " are judged where there are any"
        )
    return notes


def _drawn_otherwise(mine: StackSummary, theirs: StackSummary) -> Iterator[str]:
    """Yield how the draws of two stacks with equal descriptions differ."""
    for now, was in zip(mine.drawn, theirs.drawn, strict=False):
        for key in ("weights", "weight_std", "biases", "bias_std"):
            if now[key] != was[key]:
                what = key.replace("_", " ")
                yield f"in layer {now.first} {what} is {now[key]}, was {was[key]}"


def unknown(case: Case) -> list[str]:
    """Return notes on what theory does not cover, with the reason."""
    if isinstance(case, NetworkCase):
        return [*_without_theory(case), *_few_samples(case), *_not_applicable(case)]
    if isinstance(case, ModuleCase):
        return list(_of_module(case))
    if not isinstance(case, StackCase):
        return []
    notes = []
    if case.outlook.kind == "unknown":
        notes.append(_no_theory(case.activation))
    read_out = case.stack.read_out
    last = None if read_out is None else resolve(read_out.activation)
    if last is not None and last.doubt and math.isnan(case.predicted("second_moment")[case.depth]):
        notes.append(_no_theory(last, " of the last layer"))
    return list(dict.fromkeys(notes))


def _of_module(case: ModuleCase) -> Iterator[str]:
    """Yield notes on what is not judged of a traced module."""
    if np.isnan(case.predicted("second_moment")[1:]).all():
        yield f"{NO_THEORY} of this module: measured values are judged"
    rows = len(case.subject.main) - 1
    if rows < len(case.subject.distinct) - 1:
        yield (
            f"{rows:,} of {len(case.subject.distinct) - 1:,} rows are judged: activations and"
            " outputs of blocks"
        )
    yield (
        "SN104, SN203, SN302, SN303, SN402, SN501 and SN601 not judged: they need theory or the"
        " weights of a network file"
    )
    if case.run is not None and GRADIENT not in case.run.statistics:
        # A framework may have none, as the trace says.
        none = any(note.startswith("no gradients") for note in case.subject.notes)
        remedy = "" if none else "; use --backward"
        yield f"SN201 and SN202 not judged: gradients were not measured{remedy}"


def _without_theory(case: NetworkCase) -> Iterator[str]:
    """Yield a note on the layers of a network without theory."""
    missing = np.flatnonzero(np.isnan(case.predicted("second_moment")))
    if missing.size:
        first = int(missing[0])
        where = f"layer {first}"
        if case.run is not None and first:
            row = case.run.row(first)
            where += f" ({row.name}, {row.kind})"
        every = missing.size == case.depth + 1 - first
        more = " on" if every else f", {missing.size:,} of {case.depth:,} layers in all"
        yield f"{NO_THEORY} from {where}{more}: measured values are judged"


def _few_samples(case: NetworkCase) -> Iterator[str]:
    """Yield a note on gradients through batch norm of few samples."""
    if not (case.train and case.batch <= UNSETTLED and case.norms_batches):
        return
    if case.batch <= ENDLESS:
        what = "the mean squared gradient is infinite, or set by epsilon"
    else:
        what = "averages of squared gradients over networks do not settle"
    yield f"batch norm of {case.batch} samples: {what}; use --batch {UNSETTLED + 1} or more"


def _not_applicable(case: NetworkCase) -> Iterator[str]:
    """Yield notes on the rules that say nothing of this network, with the reason."""
    found = repeated_block(case.network)
    if found is None:
        yield (
            "SN104 and SN302 not judged: they are about the limit of a block that is repeated"
            f" {LEAST_TIMES} times or more"
        )
    elif case.outlook.kind == "unknown":
        name = case.network.block.entries[found[0]].name or found[0]
        yield (
            f"SN104 and SN302 not judged: as far as theory knows, the signal of block {name} has no"
            " limit"
        )
    elif case.outlook.gradient_growth is None:
        yield "SN302 not judged: dropout and batch norm themselves change how much inputs differ"
    if case.drops and np.isnan(case.masked_cosine).all():
        yield "SN303 not judged: theory does not know the cosine under two masks of dropout here"


def _no_theory(activation: Activation, place: str = "") -> str:
    where = f" beyond ±{activation.reach:g}" if activation.reach else ""
    return f"{NO_THEORY}{place}{where}: {activation.doubt}; measured values are judged"


def _other_content(mine: Simulation, theirs: Simulation) -> bool:
    """Return whether data of the same name are known to differ."""
    digests = mine.inputs_digest, theirs.inputs_digest
    return mine.inputs == theirs.inputs and None not in digests and digests[0] != digests[1]


def unlike(run: Run, baseline: Run) -> list[str]:
    """Return in words how the network and the sampling differ from the baseline's."""
    notes = []
    mine, theirs = run.stack, baseline.stack
    if mine is not None and theirs is not None and mine != theirs:
        told = list(_fields(mine, theirs)) or list(_drawn_otherwise(mine, theirs))
        notes.append(f"the stack differs from the baseline: {'; '.join(told)}")
    elif run.module is not None and baseline.module is not None:
        told = list(_fields(run.module, baseline.module))
        if told:
            notes.append(f"the module differs from the baseline's: {escaped('; '.join(told))}")
    elif run.subject != baseline.subject:
        notes.append("the network differs from the baseline's")
    notes += unmatched(run, baseline)
    told = list(_fields(run.simulation, baseline.simulation))
    if _other_content(run.simulation, baseline.simulation):
        told.append(f"the content of {escaped(run.simulation.inputs)} has changed")
    if told:
        notes.append(f"the sampling differs from the baseline: {'; '.join(told)}")
    return notes


def _fields(mine: Record, theirs: Record) -> Iterator[str]:
    """Yield which fields of two records differ."""
    for key in mine.keys():  # noqa: SIM118  # a Record is no dict
        if mine[key] != theirs[key] and key not in NOT_TOLD:
            yield f"{key.replace('_', ' ')} is {mine[key]}, was {theirs[key]}"
