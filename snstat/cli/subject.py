"""What `snstat plot` draws: saved runs, or networks that options describe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from snstat.cli.output import notice
from snstat.cli.propagate import contents, plans, simulate_all
from snstat.cli.variants import variants
from snstat.errors import InputFileError, InvalidValueError
from snstat.values.option import options_of

if TYPE_CHECKING:
    from snstat.cli.modules import ModuleTarget
    from snstat.experiment.plans import AnyPlan
    from snstat.experiment.trace import TracePlan
    from snstat.network.network import Network
    from snstat.report.selection import LayerSelection
    from snstat.results import Densities, Run, Spectrum, StackSummary
    from snstat.results import Subject as OfRun
    from snstat.results.overview import PositionShares

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
        networks: Sequence[Network | ModuleTarget | None] = (None,),
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
        self._require_one(kind, len(stacks))
        return stacks[0]

    def _require_one(self, kind: str, number: int) -> None:
        if number > 1:
            bound = f"1 with --kind {kind}"
            raise InvalidValueError("number of runs", number, bound, "draw them one by one")

    def densities(self, selection: LayerSelection, kind: str) -> Densities:
        """Simulate the one network of a picture of this `kind`, as far as it was, and return its
        densities."""
        from snstat.experiment.densities import densities

        if not self.saved:
            planned = plans(self.wanted, self._networks())
            self._require_one(kind, len(planned))
            ((_, plan),) = planned
            rows = _ridges(selection, plan.subject, plan.depth)
        else:
            self._require_one(kind, len(self.loaded()))
            run, *_ = self.runs()
            rows = _ridges(selection, run.subject, len(run.finite) - 1)
            plan = _plan_again(self.saved[0], run, rows[-1])
        replace(plan, sampler="dense", backward=False).warm(notice)
        found = densities(plan, rows)
        if not len(found.layers):
            raise InvalidValueError(
                "activations", f"not finite from layer {rows[0]} on", "finite", "scale them down"
            )
        if len(found.layers) < len(rows):
            gone = rows[len(found.layers)]
            notice(f"layer {gone} is not finite: it and all after it are left out")
        return found

    def positions(self, selection: LayerSelection) -> PositionShares:
        """Return theory of the one network at every position."""
        from snstat.cli.networks import announce_theory
        from snstat.experiment.network_plan import NetworkPlan
        from snstat.experiment.plans import plan_again
        from snstat.experiment.positions import position_shares

        if self.saved:
            self._require_one("positions", len(self.loaded()))
            plan = plan_again(self.loaded()[0])
        else:
            planned = plans(self.wanted, self._networks())
            self._require_one("positions", len(planned))
            ((_, plan),) = planned
        if isinstance(plan, NetworkPlan):
            announce_theory(plan.network, plan.followed)
        if selection.kind == "log":
            return position_shares(plan)
        return position_shares(plan, _ridges(selection, plan.subject, plan.depth))

    def spectrum(self, selection: LayerSelection) -> Spectrum:
        """Sample the one network, and return the singular values of its Jacobian."""
        from snstat.cli.spectrum import plans as planned_spectra
        from snstat.cli.spectrum import sample_all
        from snstat.experiment.spectrum_settings import SpectrumSettings

        names = options_of(SpectrumSettings)
        wanted = [
            replace(own, options={k: v for k, v in own.options.items() if k in names})
            for own in self.wanted
        ]
        chosen = None if selection.kind == "log" else selection
        planned = planned_spectra(wanted, self._networks(), chosen)
        self._require_one("spectrum", len(planned))
        (found,) = sample_all(planned)
        return found

    def runs(self) -> list[Run]:
        """Return the runs, simulated now unless they were saved."""
        if self.saved:
            return self.loaded()
        runs = simulate_all(self._plans())
        self.partial = any(run.partial for run in runs)
        self.told = f", {contents(runs)}" if self.partial else ""
        return runs

    def _networks(self) -> list[Network | None]:
        """Return what is simulated: networks, or None for the stack that options describe."""
        from snstat.cli.modules import ModuleTarget

        return [entry for entry in self.networks if not isinstance(entry, ModuleTarget)]

    def _plans(self) -> list[tuple[str, AnyPlan | TracePlan]]:
        """Return the plan of each run with its name."""
        from snstat.cli.modules import ModuleTarget
        from snstat.experiment.trace import TracePlan
        from snstat.experiment.trace_settings import TraceSettings

        traced: list[tuple[str, AnyPlan | TracePlan]] = [
            (
                ", ".join(filter(None, (entry.name, variant.name))),
                TracePlan(entry.target, TraceSettings(**variant.options), entry.set),
            )
            for entry in self.networks
            if isinstance(entry, ModuleTarget)
            for variant in self.wanted
        ]
        return traced or [*plans(self.wanted, self._networks())]


def _ridges(selection: LayerSelection, subject: OfRun, last: int) -> list[int]:
    """Return the layers of a histogram up to the `last` that there is.

    Raises InvalidValueError for more than a picture shows.
    """
    from snstat.experiment.densities import with_densities
    from snstat.report.figures.histogram import MOST_RIDGES

    rows = selection.rows(last)
    if selection.by_name:
        rows = [layer for layer in selection.of(subject) if layer <= last]
    if len(rows) > MOST_RIDGES:
        raise InvalidValueError(
            "number of layers in a histogram",
            len(rows),
            f"at most {MOST_RIDGES}",
            "choose with --layers log, or a list such as 0,1,8,64",
        )
    return with_densities(subject, rows)


def _plan_again(saved: str, run: Run, last: int) -> AnyPlan:
    """Return the plan to simulate a saved run again up to layer `last`.

    Raises InputFileError where that is impossible, or where the word of a file is not enough for
    so long a simulation.
    """
    from snstat.experiment.plans import plan_again

    try:
        plan = plan_again(run)
    except InvalidValueError as error:
        raise InputFileError(saved, f"cannot be simulated again: {error}") from None
    units = plan.widest
    values = plan.trials * plan.inputs.batch * units
    work = (values + plan.trials * units * DRAW) * last * units
    if work > MOST_WORK_AGAIN or values > MOST_VALUES_AGAIN:
        minutes = math.ceil(work / MOST_WORK_AGAIN * MINUTES)
        reason = (
            f"to simulate it again may take {minutes:,} minutes of a core"
            f" and {values * 24 / 2**30:,.1f} GiB of memory"
        )
        raise InputFileError(saved, reason, "give its options instead of the file")
    return plan
