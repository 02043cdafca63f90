"""The signal at every position of a grid, by theory."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from snstat.errors import InvalidValueError
from snstat.experiment.network_plan import NetworkPlan, network_source
from snstat.experiment.plans import AnyPlan
from snstat.network.network import Network
from snstat.network.run_settings import RunSettings
from snstat.results import FloatArray, InputMoments
from snstat.results.overview import PositionShares

# Positions that differ by rounding are shown as equal.
DIGITS = 12


def shares_of(network: Network, batch: int, numbers: Collection[int]) -> dict[int, FloatArray]:
    """Return E[x²] at every position over the average of its layer, of those of these `numbers`
    that have several positions and theory, for `batch` samples of the inputs that the network
    declares."""
    source = network_source(network, RunSettings(batch=batch))
    return _shares(network, batch, source.moments(), numbers, train=True)


def position_shares(plan: AnyPlan, numbers: Collection[int]) -> PositionShares:
    """Return the same of a plan, with its inputs. Raises InvalidValueError if no layer has any."""
    found: dict[int, FloatArray] = {}
    if isinstance(plan, NetworkPlan):
        inputs = plan.inputs
        found = _shares(plan.network, inputs.batch, inputs.moments(), numbers, train=plan.train)
    if not found:
        bound = "on a grid of which theory knows the signal"
        raise InvalidValueError("layers", "without such a layer", bound)
    return PositionShares(plan.subject, found)


def _shares(
    network: Network, batch: int, inputs: InputMoments, numbers: Collection[int], *, train: bool
) -> dict[int, FloatArray]:
    from snstat.theory.profiles import profiles

    found = profiles(network, batch, inputs, numbers, train=train)
    return {
        number: np.round(profile.share, DIGITS)
        for number, profile in found.items()
        if profile.known and profile.second_moment.size > 1
        # Numbers of tokens have no second moment.
        if number or not network.input.tokens
    }
