"""Matrices that are given instead of drawn."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from snstat.engine.general.grid import columns
from snstat.layers.draw import Pass, Values


class GivenLayer(NamedTuple):
    """The matrix of a layer, (units, fan_in), and its biases, (units, 1), None for none."""

    weights: Values
    biases: Values | None


# By the number of their layer, counted from 1.
NOT_GIVEN: Mapping[int, GivenLayer] = MappingProxyType({})


def given_pass(values: Values, given: GivenLayer) -> Pass:
    """Return W x + b."""
    before = values.shape
    z = given.weights @ columns(values)
    if given.biases is not None:
        z += given.biases

    def pull(slope: Values) -> tuple[Values, ...]:
        return ((given.weights.T @ columns(slope)).reshape(before),)

    return Pass(z.reshape(len(z), *before[1:]), pull)
