"""A traced module in words: its title, how it was sampled, and what its table leaves out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from snstat.errors import escaped
from snstat.report.given_words import DIGEST_SHOWN
from snstat.report.words import SEPARATOR, count
from snstat.results.module import SAMPLES
from snstat.values.names import listed

if TYPE_CHECKING:
    from snstat.results import Call, ModuleSummary, NonFinite, Simulation
    from snstat.results.module import Left

# Names that a sentence lists.
MOST_NAMED = 8
OF_TRIALS = {"model": "a fresh model each", "inputs": "new inputs each"}
# Of snstat.tracing, which draws nothing.
OWN_STEP = "a step of your own code"


def module_title(module: ModuleSummary) -> str:
    """Return "ResNet · 36 modules, 40 calls · train mode · 45,146 parameters"."""
    mode = f"{module.mode} mode" + (", dropout off" if module.dropout == "off" else "")
    sizes = f"{count(module.modules, 'module')}, {count(module.calls, 'call')}"
    if module.functions:
        sizes += f", {count(module.functions, 'call')} of functions"
    return SEPARATOR.join(
        [escaped(module.title), sizes, mode, count(module.parameters, "parameter")]
    )


def module_sampling(module: ModuleSummary, simulation: Simulation) -> str:
    """Return "16 trials (a fresh model each) × batch 8 · float32, cpu, seed 0 · x=Bx3x32x32"."""
    given, seed = OF_TRIALS[module.trials_of], f"seed {simulation.seed}"
    if simulation.seed is None:
        given, seed = OWN_STEP, "no seed"
    parts = [
        f"{count(simulation.trials, 'trial')} ({given}) × batch {simulation.batch:,}",
        f"{simulation.dtype}, {escaped(module.device)}, {seed}",
    ]
    if simulation.inputs:
        digest = simulation.inputs_digest
        shown = "" if digest is None else f" ({digest[:DIGEST_SHOWN]}…)"
        parts.append(f"inputs {escaped(simulation.inputs)}{shown}")
    if module.weights is not None:
        parts.append(f"weights {escaped(PurePath(module.weights).name)}")
    if module.loss is not None:
        parts.append(f"loss {escaped(module.loss)}")
    return SEPARATOR.join(parts)


def call_words(path: str, call: int) -> str:
    """Return a call by the path of its module: "layer1.relu#2"."""
    return f"{path}#{call}" if call > 1 else path


def producer_words(module: ModuleSummary) -> str:
    """Return which call made the first value that is not finite, empty if all are finite."""
    found = module.nonfinite
    return "" if found is None else _producer(found)


def _producer(found: NonFinite) -> str:
    name = escaped(call_words(found.path, found.call))
    if found.before is not None:
        name = f"the code of {name} before {escaped(found.before)}"
        return f"The first value that is not finite came from {name}, in trial {found.trial}."
    kind = escaped(found.kind)
    if not found.inputs_finite:
        return f"The input of {name} ({kind}) is itself not finite, in trial {found.trial}."
    return (
        f"The first value that is not finite came out of {name} ({kind}) from finite inputs, in"
        f" trial {found.trial}."
    )


def closing(module: ModuleSummary) -> Iterator[str]:
    """Yield the sentences below the table: where theory ends, and what has no row."""
    ends = [_left(left) for left in module.theory_ends]
    if ends:
        yield f"Theory ends at {_few(ends)}."
    skipped = [_left(left) for left in module.skipped]
    yield f"Not called: {_few(module.not_called) or 'none'}. Skipped: {_few(skipped) or 'none'}."
    repeated = len(module.rows) + 1 - len(module.distinct)
    if repeated:
        verb = "returns a tensor of another row and is" if repeated == 1 else (
            "return tensors of other rows and are"
        )  # fmt: skip
        yield f"{count(repeated, 'row')} {verb} not repeated."
    missing: dict[str, list[Call]] = {}
    for row in module.rows:
        if row.gradient_missing is not None:
            missing.setdefault(row.gradient_missing, []).append(row)
    for reason, rows in missing.items():
        yield f"No gradient ({escaped(reason)}): {_few([row.name for row in rows])}."
    for note in module.notes:
        yield f"Note: {escaped(note)}."


def _left(left: Left) -> str:
    name = call_words(left.path, left.call) + left.output
    return f"{escaped(name)} ({escaped(left.reason)})"


def _few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are; empty for none."""
    if not names:
        return ""
    more = len(names) - MOST_NAMED
    shown = [escaped(name) for name in names[:MOST_NAMED]]
    return listed([*shown, f"{more:,} more"] if more > 0 else shown)


def axes_words(row: Call) -> str:
    """Return the axes as "S · 256 · 16": samples, positions and units, "-" for none of them; empty
    where axes are not known."""
    if row.axes is None:
        return ""
    axes = row.axes
    sizes = row.shares
    positions, units = (
        math.prod(sizes[axis] for axis in own) for own in (axes.position, axes.unit)
    )
    return SEPARATOR.join([SAMPLES if axes.sample else "-", f"{positions:,}", f"{units:,}"])
