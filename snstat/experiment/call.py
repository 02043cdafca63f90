"""The arguments of `snstat.propagate` and `snstat.check`: a subject, and how it is sampled."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from snstat.activation import Pair
from snstat.activation.kind import ActivationName
from snstat.errors import InvalidValueError
from snstat.experiment.plans import AnyPlan, plan_of
from snstat.network.network import Network
from snstat.network.run_settings import DEFAULT_TRIALS, KEEP, RunSettings
from snstat.values.kinds import Kind
from snstat.values.option import again, option

# How the name of a network file ends.
SUFFIX = ".toml"
_NONE: Mapping[str, Any] = MappingProxyType({})


class Subject(Kind):
    """An activation, a network, or the path of a network file."""

    def check(self, name: str, value: Any) -> Any:
        """See Kind."""
        return value if is_network(value) else ActivationName().check(name, value)

    def names(self) -> Collection[str]:
        """See Kind."""
        return ActivationName().names()


def is_network(subject: Any) -> bool:
    """Return whether a subject is a network or the path of its file, not an activation."""
    if isinstance(subject, str):
        return subject.lower().endswith(SUFFIX)
    return isinstance(subject, Network | os.PathLike)


def network_of(subject: Any, changes: Mapping[str, Any]) -> Network | None:
    """Return the network that a subject is, with its parameters changed, None for an activation.

    Raises InvalidValueError for changes of anything but a file.
    """
    if is_network(subject) and not isinstance(subject, Network):
        return Network.load(subject, set=changes)
    if changes:
        bound = "left out beside anything but a network file"
        raise InvalidValueError("set", dict(changes), bound, "it sets the parameters of a file")
    return subject if isinstance(subject, Network) else None


@dataclass(frozen=True, slots=True)
class Call(RunSettings):
    """The arguments of `snstat.propagate`."""

    activation: str | Pair | Network | os.PathLike[str] = option(  # type: ignore[assignment]  # more than a stack has
        Subject(), "An activation, a network, or the path of its file.", default="selu"
    )
    # The word becomes a number when the options are validated.
    trials: int | Literal["keep"] = again(RunSettings, "trials")  # type: ignore[assignment]
    set: Mapping[str, Any] | None = field(default=None, kw_only=True)
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
        if network is not None:
            del settings["activation"]
        return plan_of(RunSettings(**settings), network)
