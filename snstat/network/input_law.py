"""The law of drawn inputs, as a network's file states it."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.limits import MAX_SCALE
from snstat.network.run_settings import DRAWN
from snstat.values.kinds import Name, Real
from snstat.values.option import Settings, option


@dataclass(frozen=True, slots=True)
class InputLaw(Settings):
    """Independent numbers with one mean and one standard deviation."""

    kind: str = option(Name(DRAWN), "Distribution of drawn inputs.", default="normal")
    mean: float = option(Real(-MAX_SCALE, MAX_SCALE), "Mean of drawn inputs.", default=0.0)
    std: float = option(Real(0.0, MAX_SCALE), "Standard deviation of drawn inputs.", default=1.0)
