"""The options that describe the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from snstat.activation import ACTIVATIONS, PARAMETERS, Pair
from snstat.activation.kind import ActivationName
from snstat.layers.options import WeightOptions
from snstat.limits import MAX_DEPTH, MAX_WIDTH
from snstat.network.widths import parse_widths, write_widths
from snstat.values.kinds import Kind, Whole, without_fraction
from snstat.values.option import Settings, again, option

DEFAULT_DEPTH, DEFAULT_WIDTH = 64, 1024


class Widths(Kind):
    """Units of the input and of each layer: "784,512*3,10", or a list of them."""

    name = "widths"
    words = "a string such as '784,512*3,10' or a list of whole numbers"

    def check(self, name: str, value: Any) -> str:  # noqa: ARG002  # see Kind
        """Return the widths as a string. See Kind."""
        return write_widths(*parse_widths(value))

    def plain(self, name: str, value: Any) -> Any:
        """See Kind. 1e3 is 1000."""
        several = isinstance(value, list)
        return super().plain(name, [*map(without_fraction, value)] if several else value)

    def fits(self, value: Any) -> bool:
        """See Kind."""
        if isinstance(value, list):
            return all(Whole(1, MAX_WIDTH).fits(entry) for entry in value)
        return isinstance(value, str)


@dataclass(frozen=True, slots=True)
class NetworkSettings(Settings):
    """The options of a network."""

    activation: str | Pair = option(
        ActivationName(),
        f"Activation: {', '.join(ACTIVATIONS)}. A parameter follows a colon, as in leaky_relu:0.2"
        f" or sine:30. These take one: {', '.join(PARAMETERS)}.",
        default="selu",
        short="a",
        metavar="NAME",
    )
    depth: int | None = option(
        Whole(1, MAX_DEPTH), "Layers.", shown=str(DEFAULT_DEPTH), short="d", metavar="N"
    )
    width: int | None = option(
        Whole(1, MAX_WIDTH),
        "Units in every layer, including the input.",
        shown=str(DEFAULT_WIDTH),
        short="w",
        metavar="N",
    )
    _: KW_ONLY
    widths: str | Sequence[int] | None = option(
        Widths(),
        "Units of the input and of each layer, instead of depth and width: 784,512*3,10, where"
        " 512*3 means three layers of 512.",
        shown="depth and width",
        metavar="N,N,…",
        commas=False,
    )
    last: str | Pair | None = option(
        ActivationName(),
        "Activation of the last layer; linear means a linear read-out.",
        shown="as the other layers",
        metavar="NAME",
    )
    init: str | None = again(WeightOptions, "init")
    weight_gain: float | None = again(WeightOptions, "weight_gain")
    weight_std: float | None = again(WeightOptions, "weight_std")
    bias_std: float | None = again(WeightOptions, "bias_std")
