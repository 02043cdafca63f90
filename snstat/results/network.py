"""Records of the network and of how it was sampled."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from snstat.results.base import Record


@dataclass(frozen=True, slots=True)
class DrawnLayers(Record):
    """The distributions of layers `first` to `last`, which have `units` units each.

    `weights` names the distribution of the weights, "zero" if all are 0, and `biases` that of the
    biases. `weight_std` and `bias_std` are the standard deviations of one weight and of one bias.
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
    """The description of a network. Two are equal if and only if the same networks are drawn.

    `init`, `weight_gain`, `weight_std` and `bias_std` are the settings of the weights. `given`
    names those of the last three that were given; the initialiser sets the others. `weight_gain` is
    G of the square layers (weight variance G²/fan_in) and `bias_std` the standard deviation of
    their biases, given or not. `widths` are the units of the input and of each layer if they differ
    ("784,512*3,10"); `width` is then the largest of a layer. `activation` is that of all layers,
    except the last one if `last` is not None. `drawn` holds the resulting distributions, with
    consecutive equal layers as one entry. They are compared instead of the settings: `he_normal`
    with a gain of 1 equals `lecun_normal`.
    """

    # Tells subjects apart without an import of all of them.
    what: ClassVar[Literal["stack"]] = "stack"
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
        """Return the units of a layer. Layer 0 is the input."""
        if layer == 0:
            return self.input_width
        found = bisect_left(self.drawn, layer, key=lambda layers: layers.last)
        return self.drawn[found].units if found < len(self.drawn) else self.width

    @property
    def called(self) -> str:
        """The shortest name of the network."""
        return self.activation

    def row(self, layer: int) -> LayerSummary:
        """Return what a layer is. Layer 0 is the input."""
        name, kind = (str(layer), "dense") if layer else (INPUT, INPUT)
        return LayerSummary(name, kind, (self.units(layer),))


# The name and the kind of layer 0.
INPUT = "input"
# What to call a network that has no name.
UNNAMED = "network"


@dataclass(frozen=True, slots=True)
class LayerSummary(Record):
    """One layer of a network: its name, its kind and the shape after it, grid first.

    `sampler` names how its weights were sampled, None for a layer without weights, where they were
    given, or where one sampler drew all layers. An `inner` layer is within a residual.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    sampler: str | None = field(default=None, compare=False)
    inner: bool = False

    @property
    def units(self) -> int:
        """The numbers of one sample after the layer."""
        return math.prod(self.shape)


# Where shapes of weights have inputs and outputs.
AUTO = "auto"
LAYOUTS = (AUTO, "torch", "jax", "keras")


@dataclass(frozen=True, slots=True)
class GivenWeights(Record):
    """Weights that were given instead of drawn: the `file`, a `digest` of their values
    ("sha256:…"), the names of the `tensors` that were used, in their order, and the `layout` of
    their shapes that was asked for."""

    file: str
    digest: str
    tensors: tuple[str, ...]
    layout: str = AUTO


@dataclass(frozen=True, slots=True)
class NetworkSummary(Record):
    """A network of any layers: its name, `form` as its file holds it, and what its layers are, from
    layer 0, the input. `stack` describes it as a uniform stack, if it is one. Two are equal if and
    only if their files describe one network.

    Where `weights` are given, `form` describes the network of independent Gaussian weights with
    their mean squares, of which `theory` is.
    """

    # Tells subjects apart without an import of all of them.
    what: ClassVar[Literal["network"]] = "network"
    name: str
    form: dict[str, Any] = field(hash=False)
    layers: tuple[LayerSummary, ...]
    stack: StackSummary | None = None
    weights: GivenWeights | None = None

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.layers) - 1

    @property
    def tokens(self) -> int:
        """How many tokens there are, of which layer 0 holds numbers without statistics; 0 where it
        holds anything else."""
        found: int = self.form[INPUT].get("tokens", 0)
        return found

    @property
    def called(self) -> str:
        """The shortest name of the network."""
        return self.name or UNNAMED

    def row(self, layer: int) -> LayerSummary:
        """Return what a layer is. Layer 0 is the input."""
        return self.layers[layer]


@dataclass(frozen=True, slots=True)
class Simulation(Record):
    """How the network was sampled.

    `inputs` is "normal", "uniform" or the path of a data file. `input_mean` and `input_std`
    describe drawn inputs and are None for a data file. `inputs_digest` is the hash of the values
    that enter the network ("sha256:…"), None for drawn inputs or if unknown. With `standardize`,
    the mean of the whole file was subtracted and its standard deviation divided out. With
    `flatten`, samples of more than one axis were flattened to vectors. `train` says whether layers
    such as dropout were in training mode. `infinite_width` is the number of units of the population
    that was sampled for the limit of infinite width, None for the network itself. `seed` is None
    where nothing was drawn: `snstat.tracing` sees the user's own steps.
    """

    batch: int
    trials: int
    seed: int | None
    dtype: str
    sampler: str
    inputs: str
    input_mean: float | None
    input_std: float | None
    inputs_digest: str | None = None
    standardize: bool = field(default=False, compare=False)
    flatten: bool = field(default=False, compare=False)
    train: bool = True
    infinite_width: int | None = None
