"""What a check is to simulate or trace: the plan that its options ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from snstat.activation import resolve
from snstat.checks.inheritance import inherited, seed_beside
from snstat.errors import InvalidValueError
from snstat.experiment.plans import AnyPlan, plan_of
from snstat.experiment.trace import TracePlan
from snstat.experiment.trace_settings import TraceSettings
from snstat.network.network import Network
from snstat.network.run_settings import RunSettings
from snstat.network.subject import is_network, network_of
from snstat.results import Run
from snstat.values.option import options_of

TRACE_OPTIONS, RUN_OPTIONS = options_of(TraceSettings).keys(), options_of(RunSettings).keys()


class Wanted(NamedTuple):
    """What options name: a module that is `traced`, a `network`, or neither, for a stack; and what
    its runs are `called`, None for a stack of the default activation."""

    traced: TracePlan | None
    network: Network | None
    called: str | None

    def plan(
        self,
        given: Mapping[str, Any],
        baseline: Run | None,
        *,
        inherits: bool,
        same_seed: bool,
    ) -> tuple[AnyPlan | TracePlan, Network | None]:
        """Return the plan, and the network that it simulates, None for a stack or a module.

        `given` are the options of a run. Those left out are taken from the `baseline` if a check
        `inherits`, and the seed differs from that of a baseline or is `same_seed`.
        """
        if self.traced is not None:
            if baseline is None:
                return self.traced, None
            seed = seed_beside(self.traced.given, baseline, same_seed=same_seed)
            return self.traced.seeded(seed), None
        before: dict[str, Any] = {}
        network = self.network
        if baseline is not None and inherits:
            before, network = inherited(baseline, given, network, same_seed=same_seed)
        options = before | dict(given)
        if baseline is not None:
            options["seed"] = seed_beside(given, baseline, same_seed=same_seed)
        return plan_of(RunSettings(**options), network), network


def wanted_of(given: dict[str, Any]) -> Wanted:
    """Return what options name, and take it from those `given`."""
    subject = given.get("activation", "")
    traced = _traced(given) if "module" in given else None
    network = network_of(given.pop("network", None) or subject, given.pop("set", {}))
    if is_network(subject):
        del given["activation"]
    elif not isinstance(subject, str):  # a pair of functions
        given["activation"] = resolve(subject).name
    called = given.get("activation") if network is None else network.name
    return Wanted(traced, network, called if traced is None else str(traced.target))


def _traced(given: dict[str, Any]) -> TracePlan:
    """Take the options of a traced module from those `given`, and return what they ask for."""
    target, settings, changes = given.pop("module"), {}, given.pop("set", {})
    for name in [*given]:
        if name in TRACE_OPTIONS:
            settings[name] = given.pop(name)
        elif name in RUN_OPTIONS or name == "network":
            raise InvalidValueError(name, given[name], "left out beside a module")
    return TracePlan(target, TraceSettings(**settings), changes, given=settings)
