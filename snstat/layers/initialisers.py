"""Initialisers: one table from the name of a scheme to its distribution and gain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Distribution = Literal["normal", "uniform", "truncated_normal", "orthogonal"]

# What is done to the weights of every unit after they are drawn: nothing, or a division by their
# norm (arXiv:1602.07868), or centring and that (arXiv:1903.10520, scaled as in arXiv:2101.08692).
PLAIN, NORMALIZED, STANDARDIZED = FORMS = ("plain", "normalized", "standardized")
# Standard deviation of a standard normal cut at ±2: √(1 − 4 ϕ(2)/P(|z| < 2)).
TRUNCATED_STD = 0.87962566103423975
# Excess kurtosis of the weights: fourth cumulant over squared variance.
EXCESS: Mapping[str, float] = MappingProxyType(
    {"normal": 0.0, "uniform": -1.2, "truncated_normal": -0.63446328287035049, "orthogonal": 0.0}
)


@dataclass(frozen=True, slots=True)
class Initialiser:
    """How one layer's weights are drawn.

    `square_gain(fan_in, fan_out)` is G²: weights have variance G²/fan_in. The scheme's own uniform
    biases have variance `bias_square_gain`/fan_in. Orthogonal weights have orthonormal rows or
    columns, whichever are fewer, as in torch.nn.init.orthogonal_. With more units than inputs, G²
    is fan_in/fan_out.
    """

    name: str
    distribution: Distribution
    square_gain: Callable[[int, int], float]
    citation: str
    bias_square_gain: float = 0.0


def _lecun(_fan_in: int, _fan_out: int) -> float:
    return 1.0


def _he(_fan_in: int, _fan_out: int) -> float:
    return 2.0


def _saxe(fan_in: int, fan_out: int) -> float:
    # With orthonormal rows or columns, whichever are fewer, the entries have variance
    # 1/max(fan_in, fan_out).
    return fan_in / max(fan_in, fan_out)


def _glorot(fan_in: int, fan_out: int) -> float:
    return 2.0 * fan_in / (fan_in + fan_out)


def _third(_fan_in: int, _fan_out: int) -> float:
    return 1.0 / 3.0


_LECUN = "LeCun, Bottou, Orr, Müller, Efficient BackProp (1998)"
_HE = "He, Zhang, Ren, Sun, Delving Deep into Rectifiers, arXiv:1502.01852"
_GLOROT = "Glorot, Bengio, Understanding the difficulty of training deep networks (2010)"
_KERAS = "cut at two standard deviations and rescaled to its variance, as in Keras and JAX"
_SAXE = "Saxe, McClelland, Ganguli, Exact solutions to nonlinear dynamics, arXiv:1312.6120"
_TORCH = "torch.nn.Linear: weights and biases uniform on ±1/√fan_in"

INITIALISERS: Mapping[str, Initialiser] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Initialiser("lecun_normal", "normal", _lecun, _LECUN),
            Initialiser("lecun_uniform", "uniform", _lecun, _LECUN),
            Initialiser("he_normal", "normal", _he, _HE),
            Initialiser("he_uniform", "uniform", _he, _HE),
            Initialiser("glorot_normal", "normal", _glorot, _GLOROT),
            Initialiser("glorot_uniform", "uniform", _glorot, _GLOROT),
            Initialiser("lecun_truncated", "truncated_normal", _lecun, f"{_LECUN}; {_KERAS}"),
            Initialiser("he_truncated", "truncated_normal", _he, f"{_HE}; {_KERAS}"),
            Initialiser("glorot_truncated", "truncated_normal", _glorot, f"{_GLOROT}; {_KERAS}"),
            Initialiser("orthogonal", "orthogonal", _saxe, _SAXE),
            Initialiser("torch_default", "uniform", _third, _TORCH, bias_square_gain=1.0 / 3.0),
        )
    }
)
