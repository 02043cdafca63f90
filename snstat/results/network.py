"""Records of what was simulated: which network, and how it was sampled."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from snstat.results.base import Record


@dataclass(frozen=True, slots=True)
class DrawnLayers(Record):
    """What layers `first` to `last` draw, of `units` units each.

    `weights` names the distribution of the weights, "zero" where they are all 0, and `biases` that
    of the biases; `weight_std` and `bias_std` are the standard deviations of one of them.
    """

    first: int
    last: int
    units: int
    activation: str
    weights: str
    weight_std: float
    biases: str
    bias_std: float


@dataclass(frozen=True, slots=True)
class StackSummary(Record):
    """What the network is. Two of them are equal if and only if the same networks are drawn.

    `init`, `weight_gain`, `weight_std` and `bias_std` are how the network was asked for: `given`
    names those of the last three that were given, the initialiser decides on the others.
    `weight_gain` is G of the square layers (weight variance G²/fan_in) and `bias_std` that of
    their biases, given or not. `widths` are the units of the input and of each layer where they
    differ ("784,512*3,10"), and then `width` is the largest of a layer; `activation` is that of all
    layers, but for the `last` one if that is not None. `drawn` says what follows for every layer,
    equal ones in a row together, and is what is compared: `he_normal` with a gain of 1 is
    `lecun_normal`.
    """

    activation: str
    depth: int
    width: int
    input_width: int
    init: str = field(compare=False)
    weight_gain: float = field(compare=False)
    bias_std: float = field(compare=False)
    weight_std: float | None = field(default=None, compare=False)
    widths: str | None = field(default=None, compare=False)
    last: str | None = field(default=None, compare=False)
    given: tuple[str, ...] = field(default=(), compare=False)
    drawn: tuple[DrawnLayers, ...] = ()

    def units(self, layer: int) -> int:
        """Return the units of a layer, 0 being the input."""
        if layer == 0:
            return self.input_width
        found = bisect_left(self.drawn, layer, key=lambda layers: layers.last)
        return self.drawn[found].units if found < len(self.drawn) else self.width


@dataclass(frozen=True, slots=True)
class Simulation(Record):
    """How the network was sampled. `inputs` is "normal", "uniform" or the path of a data file;
    `input_mean` and `input_std` are those of drawn inputs, None for a data file, and
    `inputs_digest` tells the content of the data ("sha256:…"), None for drawn inputs and where it
    is not known. `standardize` says that the mean of the whole file was subtracted and its standard
    deviation divided by, `flatten` that samples of more than one axis were made vectors; the digest
    is that of the values that enter the network. `train` says whether dropout and the like
    were on.
    """

    batch: int
    trials: int
    seed: int
    dtype: str
    sampler: str
    inputs: str
    input_mean: float | None
    input_std: float | None
    inputs_digest: str | None = None
    standardize: bool = field(default=False, compare=False)
    flatten: bool = field(default=False, compare=False)
    train: bool = True
