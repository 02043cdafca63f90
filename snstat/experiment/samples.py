"""The samples of data that theory follows one by one, where their number allows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from snstat.experiment.theory_room import seconds_of_samples
from snstat.network.network import Network
from snstat.results import InputMoments, Samples

if TYPE_CHECKING:
    from snstat.engine.inputs import Inputs
    from snstat.theory.start import Followed

# Theory of samples is left out where it would take longer, in seconds.
LONGEST = 120.0


def followed(network: Network, inputs: Inputs, trials: int) -> Followed:
    """Return how many samples of data on a grid theory follows at most, none of other inputs.
    Vectors are followed together, or take little time."""
    from snstat.theory.start import Followed

    if not network.input.grid or network.input.tokens:
        return Followed()
    found = _taken(inputs, trials)
    return found if seconds_of_samples(network, found) <= LONGEST else Followed()


def with_samples(
    moments: InputMoments, network: Network, inputs: Inputs, trials: int, seed: int
) -> InputMoments:
    """Return `moments` with the samples of data that differ in norm or are on a grid, which theory
    follows one by one. Of others it needs none, and of tokens it has none."""
    from snstat.experiment.data import DataInputs

    shape = network.input
    if shape.tokens or not isinstance(inputs, DataInputs):
        return moments
    if moments.norms is None and not shape.grid:
        return moments
    found = _taken(inputs, trials)
    seconds = seconds_of_samples(network, found)
    if seconds <= LONGEST:
        return replace(moments, samples=inputs.samples(trials, seed))
    none = np.empty((0, shape.units)), np.empty((0, inputs.batch), np.int64)
    why = (
        f"theory of {found.samples:,} samples would take about {seconds:,.0f} s, more than"
        f" {LONGEST:g}; use a smaller --batch"
    )
    return replace(moments, samples=Samples(*none, why))


def _taken(inputs: Inputs, trials: int) -> Followed:
    """Return the samples of data that trials take, at most."""
    from snstat.experiment.data import DataInputs
    from snstat.theory.start import Followed

    if not isinstance(inputs, DataInputs):
        return Followed()
    every = len(inputs.data) == inputs.batch
    count = min(len(inputs.data), inputs.batch * trials)
    return Followed(count, 1 if every else trials, inputs.batch)
