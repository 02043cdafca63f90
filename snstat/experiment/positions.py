"""The signal at every position of a grid, by theory."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from snstat.errors import SnstatError
from snstat.experiment.network_plan import NetworkPlan, network_source
from snstat.experiment.plans import AnyPlan
from snstat.network.network import Network
from snstat.network.run_settings import RunSettings
from snstat.results import FloatArray
from snstat.results.overview import PositionShares

# Positions that differ by rounding are shown as equal.
DIGITS = 12


def declared(network: Network, batch: int) -> NetworkPlan:
    """Return the plan of a network with `batch` samples of the inputs that it declares."""
    return NetworkPlan(network, network_source(network, RunSettings(batch=batch)))


def position_shares(plan: AnyPlan, numbers: Collection[int]) -> PositionShares:
    """Return E[x²] at every position over the average of its layer, of those of these `numbers`
    that have several positions and theory. Raises SnstatError if none has."""
    if not isinstance(plan, NetworkPlan) or not plan.network.input.grid:
        raise SnstatError(
            "a network without a grid has no positions; give a network file whose input has one,"
            " such as input = { channels = 3, grid = [32, 32] }"
        )
    found = _shares(plan, numbers)
    if not found:
        known = "theory knows the signal at several positions of none of these layers"
        raise SnstatError(f"{known}; choose others with --layers, such as --layers all")
    return PositionShares(plan.subject, found)


def _shares(plan: NetworkPlan, numbers: Collection[int]) -> dict[int, FloatArray]:
    from snstat.theory.profiles import profiles

    network, inputs = plan.network, plan.inputs
    found = profiles(network, inputs.batch, inputs.moments(), numbers, train=plan.train)
    return {
        number: np.round(profile.share, DIGITS)
        for number, profile in found.items()
        if profile.known and profile.second_moment.size > 1
        # Numbers of tokens have no second moment.
        if number or not network.input.tokens
    }
