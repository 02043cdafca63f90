"""How long a sweep will take, and how much memory: said before it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from snstat.errors import SnstatError
from snstat.sweeps.cell import Cell
from snstat.sweeps.running import needed_by, run_cell
from snstat.sweeps.subject import MODULE
from snstat.sweeps.sweeping import Sweeping

# Cells that are looked at, evenly chosen.
LOOKED_AT = 64
# Seconds that measuring the cheapest of them may take.
PATIENCE = 2.0
# ... and that a dearer one takes at most. Most take far less: much of a cell's time is theory.
MOST_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cells that are `done` and `left`; `seconds` and `bytes` of those that are left, 0 of what
    nobody knows."""

    done: int
    left: int
    seconds: float
    bytes: float


def estimate(asked: Sweeping, done: Collection[str]) -> Estimate:
    """Return what the cells will take that are not `done`.

    Some of them are planned. The cheapest is run, twice if it is quick, and the others are taken to
    be slower in proportion to their work, beside what every cell takes.
    """
    number = sum(1 for _ in asked.missing(done)) if done else len(asked.grid)
    step = max(math.ceil(number / LOOKED_AT), 1)
    chosen = islice(asked.missing(done), 0, None, step) if done else asked.cells(step=step)
    plans = []
    for cell in chosen:
        try:
            plans.append((cell, cell.plan()))
        except SnstatError:
            continue
    if not plans:
        return Estimate(len(asked.grid) - number, number, 0.0, 0.0)
    works = [work_of(plan, theory=asked.theory) for _, plan in plans]
    order = sorted(range(len(plans)), key=works.__getitem__)
    cheap = order[0]
    fixed = _seconds(plans[cheap][0])
    # The dearest that is sure to end soon, were all its time in proportion to its work.
    affordable = works[cheap] * max(MOST_SECONDS / max(fixed, 1e-9), 1.0)
    dear = max((place for place in order if works[place] <= affordable), key=works.__getitem__)
    rate = 0.0
    if works[dear] > works[cheap]:
        taken = _seconds(plans[dear][0])
        rate = max(taken - fixed, 0.0) / (works[dear] - works[cheap])
    elif works[cheap]:
        rate = fixed / works[cheap]
    mean = sum(fixed + rate * (work - works[cheap]) for work in works) / len(works)
    largest = sorted((needed_by(plan) for _, plan in plans), reverse=True)[: asked.workers]
    return Estimate(
        len(asked.grid) - number,
        number,
        mean * number / asked.workers,
        0.0 if asked.theory else sum(largest) * asked.workers / max(len(largest), 1),
    )


def work_of(plan: object, *, theory: bool) -> float:
    """Return the multiplications of a plan, about; of `theory` alone its layers; 1 of a module, of
    which nobody knows."""
    widest, depth, trials = (getattr(plan, name, 1) for name in ("widest", "depth", "trials"))
    inputs = getattr(plan, "inputs", None)
    batch = 1 if inputs is None else inputs.batch
    if inputs is None or theory:
        return float(depth) if theory else 1.0
    other = batch if getattr(plan, "sampler", "") == "matrix-free" else widest
    back = 2.0 if getattr(plan, "backward", False) else 1.0
    return float(depth) * trials * batch * widest * other * back


def _seconds(cell: Cell) -> float:
    """Return the time of one cell, of which the second run counts if the first was quick: that one
    loads what all need."""
    for _ in range(2):
        began = time.perf_counter()
        run_cell(cell)
        taken = time.perf_counter() - began
        if taken > PATIENCE or cell.subject.kind == MODULE:
            break
    return taken
