"""What a network is, layer by layer, before anything is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snstat.results.base import FloatArray
from snstat.results.subject import Subject
from snstat.results.theory_end import TheoryEnd

NETWORK_SCHEMA = "snstat.network/1"


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer: its number, 0 for the input, its name and kind, the shape of one sample after it
    (grid first, channels last), its number of weights and biases, and how these are sampled: None
    for a layer without weights."""

    layer: int
    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    sampler: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """A network: its plain data as a file holds them (`form`), its number of layers and of
    parameters, and some of its layers. `positions`, where asked for, are shares of their signal by
    number, of those that have several positions and theory; see `PositionShares`. `ends` are where
    its theory ends, each with what to call the layer; None if that was not asked for."""

    form: Mapping[str, Any]
    depth: int
    parameters: int
    layers: tuple[LayerRow, ...]
    positions: Mapping[int, FloatArray] | None = None
    ends: tuple[tuple[TheoryEnd, str], ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PositionShares:
    """Theory of a network at every position: E[x²] over the average of the layer, an array of the
    shape of its grid for each layer by number. `subject` is the network."""

    subject: Subject
    shares: Mapping[int, FloatArray]
