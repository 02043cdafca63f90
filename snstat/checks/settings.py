"""The options of a check that are no bounds: which rules, and what to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snstat.checks.bounds import Bounds
from snstat.experiment.trace_settings import Target, TraceSettings
from snstat.network.run_settings import RunSettings
from snstat.values.kinds import File, Flag, Parameters, Texts
from snstat.values.option import Option, Settings, options_of, single


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings(Settings):
    """Which rules are applied, and what a run is compared with."""

    network: str | None = single(
        File(), "The file of the network that is checked, instead of a stack."
    )
    module: str | None = single(
        Target(),
        "The PyTorch module that is checked, package.module:name, instead of a stack.",
    )
    set: dict[str, Any] | None = single(
        Parameters(),
        "Parameters of the network file to change, or arguments of the module's function.",
    )
    select: tuple[str, ...] = single(
        Texts(), "Only these rules, or SN2 for all 2xx.", default=(), metavar="CODE"
    )
    ignore: tuple[str, ...] = single(Texts(), "Without these rules.", default=(), metavar="CODE")
    baseline: str | None = single(File(), "Compare with this run, layer by layer.", metavar="FILE")
    same_seed: bool = single(
        Flag(), "The baseline's own networks, equal to the last bit.", default=False
    )


# The options that only traced modules have. `only` is another one of the command line.
TRACED = options_of(TraceSettings).keys() - options_of(RunSettings).keys()
# All options of a check by name: the keys of its configuration.
OPTIONS: dict[str, Option] = {
    name: declared
    for settings in (TraceSettings, RunSettings, CheckSettings, Bounds)
    for name, declared in options_of(settings).items()
}
# That of a module may be another one. What simulates networks refuses it.
OPTIONS["dtype"] = options_of(TraceSettings)["dtype"]
