"""What `snstat plot` draws: saved runs, or networks that options describe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snstat.cli.output import notice
from snstat.cli.propagate import contents, plans, simulate_all
from snstat.cli.variants import variants
from snstat.errors import InputFileError, InvalidValueError

if TYPE_CHECKING:
    from snstat.experiment.plan import Plan
    from snstat.network.network import Network
    from snstat.report.selection import LayerSelection
    from snstat.results import Densities, Run, StackSummary

# Curves in one picture.
MOST_RUNS = 50
# Multiplications that a saved run may ask for when it is simulated again, about how many minutes
# of a core they take, and how many of them take as long as to draw a weight; values of a layer.
MOST_WORK_AGAIN, MINUTES, DRAW = 10**12, 3, 16
MOST_VALUES_AGAIN = 2**25


class Subject:
    """Which networks to draw: those of a saved file, or the ones that options describe."""

    def __init__(
        self,
        saved: Sequence[str],
        options: dict[str, Any],
        networks: Sequence[Network | None] = (None,),
    ) -> None:
        self.saved, self.networks = saved, networks
        self.wanted = [] if saved else variants(options)
        number = len(self.wanted) * len(networks)
        if number > MOST_RUNS:
            raise InvalidValueError("number of runs", number, f"at most {MOST_RUNS} in a picture")
        self.partial = False
        self.told = ""  # what there is to say of what was simulated
        self._loaded: list[Run] = []

    def loaded(self) -> list[Run]:
        """Return the saved runs; what came through a pipe can be read once only."""
        from snstat.files.saved import load_all

        if not self._loaded:
            for path in self.saved:
                self._loaded += load_all(path)
                if len(self._loaded) > MOST_RUNS:
                    reason = f"makes {len(self._loaded)} runs, but a picture holds {MOST_RUNS}"
                    raise InputFileError(path, reason, "save fewer")
        return self._loaded

    def stacks(self) -> list[StackSummary]:
        """Return what the networks are, without simulating anything."""
        from snstat.experiment.plan import Plan

        if self.saved:
            found = [run.stack for run in self.loaded()]
            stacks = [stack for stack in found if stack is not None]
            if len(stacks) < len(found):
                raise InvalidValueError("run", "a network of any layers", "a uniform stack")
            return stacks
        return [Plan.build(**variant.options).summary for variant in self.wanted]

    def stack(self, kind: str) -> StackSummary:
        """Return what the one network is; raise InvalidValueError when there are several."""
        stacks = self.stacks()
        if len(stacks) > 1:
            raise InvalidValueError(
                "number of runs", len(stacks), f"1 with --kind {kind}", "draw them one by one"
            )
        return stacks[0]

    def densities(self, selection: LayerSelection) -> Densities:
        """Simulate the one network, as far as it was, and return its densities."""
        from snstat.experiment.densities import densities
        from snstat.experiment.plan import Plan
        from snstat.experiment.warmup import compile_kernels

        self.stack("histogram")
        if not self.saved:
            plan = Plan.build(**self.wanted[0].options)
            rows = _ridges(selection, plan.stack.depth)
        else:
            run, *_ = self.runs()
            rows = _ridges(selection, len(run.finite) - 1)
            plan = _plan_again(self.saved[0], run, rows[-1])
        compile_kernels(plan.stack.init, plan.dtype, "dense", notice=notice)
        found = densities(plan, rows)
        if not len(found.layers):
            raise InvalidValueError(
                "activations", f"not finite from layer {rows[0]} on", "finite", "scale them down"
            )
        if len(found.layers) < len(rows):
            gone = rows[len(found.layers)]
            notice(f"layer {gone} is not finite: it and all after it are left out")
        return found

    def runs(self) -> list[Run]:
        """Return the runs, simulated now unless they were saved."""
        if self.saved:
            return self.loaded()
        runs = simulate_all(plans(self.wanted, self.networks))
        self.partial = any(run.partial for run in runs)
        self.told = f", {contents(runs)}" if self.partial else ""
        return runs


def _ridges(selection: LayerSelection, depth: int) -> list[int]:
    """Return the layers of a histogram; raise InvalidValueError for more than a picture shows."""
    from snstat.report.figures.histogram import MOST_RIDGES

    rows = selection.rows(depth)
    if len(rows) > MOST_RIDGES:
        raise InvalidValueError(
            "number of layers in a histogram",
            len(rows),
            f"at most {MOST_RIDGES}",
            "choose with --layers log, or a list such as 0,1,8,64",
        )
    return rows


def _plan_again(saved: str, run: Run, last: int) -> Plan:
    """Return the plan to simulate a saved run again up to layer `last`.

    Raises InputFileError where that is impossible, or where the word of a file is not enough for
    so long a simulation.
    """
    from snstat.experiment.plan import Plan

    try:
        plan = Plan.of(run)
    except InvalidValueError as error:
        raise InputFileError(saved, f"cannot be simulated again: {error}") from None
    stack = plan.stack
    units = max(stack.widest, stack.width_of(0))
    values = plan.trials * plan.inputs.batch * units
    work = (values + plan.trials * units * DRAW) * last * stack.widest
    if work > MOST_WORK_AGAIN or values > MOST_VALUES_AGAIN:
        minutes = math.ceil(work / MOST_WORK_AGAIN * MINUTES)
        reason = (
            f"to simulate it again may take {minutes:,} minutes of a core"
            f" and {values * 24 / 2**30:,.1f} GiB of memory"
        )
        raise InputFileError(saved, reason, "give its options instead of the file")
    return plan
