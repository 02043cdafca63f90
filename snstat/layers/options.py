"""The options of a layer with weights, and their defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from snstat.activation import ACTIVATIONS, resolve
from snstat.errors import InvalidValueError
from snstat.layers.initialisers import FORMS, INITIALISERS, PLAIN, STANDARDIZED
from snstat.limits import MAX_SCALE
from snstat.values.kinds import Name, Real
from snstat.values.names import INIT_ALIASES, listed
from snstat.values.option import Settings, option

# What draws the weights of most activations.
COMMON_INIT = "lecun_normal"


def _usual() -> str:
    """Return in words which initialiser is the default for which activation."""
    uses: dict[str, list[str]] = {}
    for name, entry in ACTIVATIONS.items():
        uses.setdefault(entry.default_init, []).append(name)
    parts = [f"{init} for {listed(own)}" for init, own in uses.items() if init != COMMON_INIT]
    return f"{'; '.join(parts)}; else {COMMON_INIT}"


@dataclass(frozen=True, kw_only=True)
class WeightOptions(Settings):
    """The options of a layer with weights. None stands for what the initialiser has."""

    init: str | None = option(
        Name(INITIALISERS, INIT_ALIASES),
        f"Initialiser: {', '.join(INITIALISERS)}. None preserves the signal of gelu and silu."
        " --weight-gain 1.468 and 1.559 keep their second moment at 1. That fixed point is"
        " unstable: narrow or deep networks leave it, so the heading shows the gain and it is not"
        " the default.",
        shown=_usual(),
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

    weights: str = option(
        Name(FORMS),
        "plain: as drawn. normalized: every unit's weights are divided by their norm, so that it is"
        " G. standardized: they are centred first, so that their sum is 0.",
        default=PLAIN,
        metavar="FORM",
    )

    def __post_init__(self) -> None:
        """Validate every value."""
        super().__post_init__()
        require_one_size(self.weight_gain, self.weight_std)
        if self.weights != PLAIN and self.init == "orthogonal":
            bound = "plain with init orthogonal"
            raise InvalidValueError("weights", self.weights, bound, "give another init")

    def require_centred(self, fan_in: int) -> None:
        """Raise InvalidValueError if the weights of `fan_in` inputs are 0 once they are centred."""
        if self.weights == STANDARDIZED and fan_in == 1:
            bound = "another form for one input, whose weight less its mean is 0"
            raise InvalidValueError("weights", self.weights, bound)

    def weight_options(self) -> dict[str, Any]:
        """Return these options by name, for other layers whose weights are drawn alike."""
        return {entry.name: getattr(self, entry.name) for entry in fields(WeightOptions)}

    def turned(self, knob: str, value: Any) -> Self | None:
        """See Layer. A gain replaces a standard deviation of the weights, and the reverse."""
        if knob not in ("weight_gain", "weight_std"):
            found: Self | None = super().turned(knob, value)  # type: ignore[misc]  # that of Layer
            return found
        return replace(self, **{"weight_gain": None, "weight_std": None, knob: value})


def require_one_size(weight_gain: float | None, weight_std: float | None) -> None:
    """Raise InvalidValueError if both are given."""
    if weight_gain is not None and weight_std is not None:
        bound = "left out if weight_gain is given"
        raise InvalidValueError("weight_std", weight_std, bound, "give one of them")


def defaults(
    activation: str, init: str | None, weight_gain: float | None, weight_std: float | None
) -> tuple[str, float | None]:
    """Return the initialiser and the gain, None for its own, where these may be left out.

    Both are then those of the activation's literature.
    """
    phi = resolve(activation)
    if init is not None:
        return init, weight_gain
    own = weight_gain is None and weight_std is None
    return phi.default_init, phi.default_gain if own else weight_gain
