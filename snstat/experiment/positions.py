"""The signal at every position of a grid, by theory."""

from __future__ import annotations

from collections.abc import Collection, Mapping

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
# Of deeper networks, layers are not compared.
MOST_COMPARED = 4096
# Layers that are shown where none are chosen, by the axes of their grids; logarithms of shares that
# differ by less are alike, and by so much more in each attempt to find few enough.
MOST_SHOWN = {1: 24, 2: 12}
LEAST_CHANGE, MORE = 0.05, 1.25
# Smaller shares are as small as this one.
FAINTEST = 1e-3


def declared(network: Network, batch: int) -> NetworkPlan:
    """Return the plan of a network with `batch` samples of the inputs that it declares."""
    return NetworkPlan(network, network_source(network, RunSettings(batch=batch)))


def position_shares(plan: AnyPlan, numbers: Collection[int] | None = None) -> PositionShares:
    """Return E[x²] at every position over the average of its layer, of those of these `numbers`
    that have several positions and theory.

    By default they are the first and the last, and those of the first 4,096 that differ most from
    the one before. Raises SnstatError if none has.
    """
    if not isinstance(plan, NetworkPlan) or not plan.network.input.grid:
        raise SnstatError(
            "a network without a grid has no positions; give a network file whose input has one,"
            " such as input = { channels = 3, grid = [32, 32] }"
        )
    first = {*range(min(plan.depth, MOST_COMPARED) + 1), plan.depth}
    found = _shares(plan, first if numbers is None else numbers)
    if not found:
        if numbers is None:
            raise SnstatError("theory knows the signal at several positions of no layer")
        known = "theory knows the signal at several positions of none of these layers"
        raise SnstatError(f"{known}; choose others with --layers, such as --layers all")
    if numbers is None:
        found = {number: found[number] for number in _telling(found)}
    return PositionShares(plan.subject, found)


def _telling(shares: Mapping[int, FloatArray]) -> list[int]:
    """Return the first and the last layer, and those that differ from the last one returned: by as
    little as leaves few enough."""
    logs = {number: np.log(np.maximum(share, FAINTEST)) for number, share in shares.items()}
    most = min(MOST_SHOWN[share.ndim] for share in shares.values())
    change = LEAST_CHANGE
    while True:
        found: list[int] = []
        for number, own in logs.items():
            if not found or _difference(logs[found[-1]], own) > change:
                found.append(number)
        last = max(logs)
        if found[-1] != last:
            found.append(last)
        if len(found) <= most:
            return found
        change *= MORE


def _difference(one: FloatArray, other: FloatArray) -> float:
    """Return the largest difference of logarithms on one grid; those of different grids are alike
    if both are even."""
    if one.shape == other.shape:
        return float(np.abs(one - other).max())
    return float(max(np.abs(one).max(), np.abs(other).max()))


def _shares(plan: NetworkPlan, numbers: Collection[int]) -> dict[int, FloatArray]:
    from snstat.theory.profiles import profiles

    network, batch = plan.network, plan.inputs.batch
    found = profiles(network, batch, plan.moments(), numbers, train=plan.train)
    return {
        number: np.round(profile.share, DIGITS)
        for number, profile in found.items()
        if profile.known and profile.second_moment.size > 1
        # Numbers of tokens have no second moment.
        if number or not network.input.tokens
    }
