"""The arguments of `snstat.propagate` and `snstat.check`: a subject, and how it is sampled."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from snstat.activation import Pair
from snstat.errors import InvalidValueError
from snstat.experiment.plans import AnyPlan, plan_of
from snstat.network.network import Network
from snstat.network.run_settings import DEFAULT_TRIALS, KEEP, RunSettings
from snstat.network.stack import Stack
from snstat.network.subject import Subject, network_of
from snstat.values.option import again, option

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Call(RunSettings):
    """The arguments of `snstat.propagate`."""

    activation: str | Pair | Network | Stack | os.PathLike[str] = option(  # type: ignore[assignment]  # more than a stack has
        Subject(), "An activation, a network, or the path of its file.", default="selu"
    )
    # The word becomes a number when the options are validated.
    trials: int | Literal["keep"] = again(RunSettings, "trials")  # type: ignore[assignment]
    set: Mapping[str, Any] | None = field(default=None, kw_only=True)
    weights: str | os.PathLike[str] | Mapping[str, Any] | Any | None = field(
        default=None, kw_only=True
    )
    only: str | Collection[str] = field(default=(), kw_only=True)
    layout: str | None = field(default=None, kw_only=True)
    max_bytes: int | None = field(default=None, kw_only=True)
    progress: Callable[[int], None] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Validate every value."""
        if isinstance(self.trials, str) and self.trials == KEEP:
            object.__setattr__(self, "trials", DEFAULT_TRIALS)
            object.__setattr__(self, "keep_trials", True)
        RunSettings.__post_init__(self)

    def plan(self) -> AnyPlan:
        """Return the plan that the arguments describe. Raises SnstatError for invalid ones."""
        network = network_of(self.activation, self.set or _NONE)
        settings = {entry.name: getattr(self, entry.name) for entry in fields(RunSettings)}
        if self.weights is not None:
            return self._of_weights(network, RunSettings(**settings))
        own = ("only", self.only), ("layout", self.layout), ("max_bytes", self.max_bytes)
        for name, value in own:
            if value:
                raise InvalidValueError(name, value, "left out without weights, which it is about")
        if network is not None:
            del settings["activation"]
        return plan_of(RunSettings(**settings), network)

    def _of_weights(self, network: Network | None, settings: RunSettings) -> AnyPlan:
        from snstat.experiment.given import given_plan
        from snstat.results.network import AUTO
        from snstat.sources.weights.chain import read_chain

        if network is not None:
            bound = "an activation beside weights, which are the network"
            raise InvalidValueError("activation", "a network", bound)
        assert self.weights is not None  # noqa: S101  # for the type checker
        only = [self.only] if isinstance(self.only, str) else self.only
        chain = read_chain(self.weights, only, self.layout or AUTO, self.max_bytes)
        return given_plan(chain, settings)
