"""The options that describe the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from snstat.activation import ACTIVATIONS, PARAMETERS, Pair
from snstat.activation.kind import ActivationName
from snstat.layers.initialisers import INITIALISERS
from snstat.limits import MAX_DEPTH, MAX_SCALE, MAX_WIDTH
from snstat.network.widths import parse_widths, write_widths
from snstat.values.kinds import Kind, Name, Real, Whole
from snstat.values.names import INIT_ALIASES
from snstat.values.option import Settings, option

DEFAULT_DEPTH, DEFAULT_WIDTH = 64, 1024


class Widths(Kind):
    """Units of the input and of each layer: "784,512*3,10", or a list of them."""

    name = "widths"
    words = "a string such as '784,512*3,10' or a list of whole numbers"

    def check(self, name: str, value: Any) -> str:  # noqa: ARG002  # see Kind
        """Return the widths as a string. See Kind."""
        return write_widths(*parse_widths(value))

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
    init: str | None = option(
        Name(INITIALISERS, INIT_ALIASES),
        f"Initialiser: {', '.join(INITIALISERS)}. None preserves the signal of gelu and silu."
        " --weight-gain 1.468 and 1.559 keep their second moment at 1. That fixed point is"
        " unstable: narrow or deep networks leave it, so the heading shows the gain and it is not"
        " the default.",
        shown="he_normal for relu and leaky_relu, else lecun_normal",
        metavar="NAME",
    )
    weight_gain: float | None = option(
        Real(0.0, MAX_SCALE),
        "Weights have variance G²/fan_in with every initialiser; an orthogonal matrix is"
        " multiplied by G.",
        shown="from --init",
        metavar="G",
    )
    weight_std: float | None = option(
        Real(0.0, MAX_SCALE),
        "Weights have standard deviation S, instead of a gain. Truncated normals are cut at 2 S and"
        " not rescaled, like Keras' TruncatedNormal(stddev=S).",
        metavar="S",
    )
    bias_std: float | None = option(
        Real(0.0, MAX_SCALE),
        "Biases are N(0, S²).",
        shown="0, or from --init torch_default",
        metavar="S",
    )
