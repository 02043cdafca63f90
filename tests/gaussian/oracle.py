"""Gaussian expectations by mpmath, an oracle that shares no code and no method with snstat."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import mpmath as mp

from snstat.activation import ALPHA, LAMBDA, LEAKY_SLOPE

Function = Callable[[mp.mpf], mp.mpf]


def _sigmoid(x: mp.mpf) -> mp.mpf:
    return 1 / (1 + mp.exp(-x))


def _clip(x: mp.mpf, low: int, high: int) -> mp.mpf:
    return min(max(x, mp.mpf(low)), mp.mpf(high))


def _cubic(x: mp.mpf) -> mp.mpf:
    # The constant is the double that snstat uses.
    return mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3)


def _mish_slope(x: mp.mpf) -> mp.mpf:
    t = mp.tanh(mp.log1p(mp.exp(x)))
    return t + x * (1 - t * t) * _sigmoid(x)


def _gelu_tanh_slope(x: mp.mpf) -> mp.mpf:
    inner = mp.sqrt(2 / mp.pi) * (1 + 3 * mp.mpf(0.044715) * x * x)
    share = _sigmoid(2 * _cubic(x))
    return share + 2 * x * inner * share * _sigmoid(-2 * _cubic(x))


FUNCTIONS: dict[str, Function] = {
    "selu": lambda x: mp.mpf(LAMBDA) * (x if x > 0 else mp.mpf(ALPHA) * mp.expm1(x)),
    "relu": lambda x: x if x > 0 else mp.mpf(0),
    "leaky_relu": lambda x: x if x > 0 else mp.mpf(LEAKY_SLOPE) * x,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "silu": lambda x: x * _sigmoid(x),
    "tanh": mp.tanh,
    "sigmoid": _sigmoid,
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "erf": mp.erf,
    "hard_tanh": lambda x: min(max(x, mp.mpf(-1)), mp.mpf(1)),
    "identity": lambda x: x,
    "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
    "gelu_tanh": lambda x: x * _sigmoid(2 * _cubic(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "relu6": lambda x: _clip(x, 0, 6),
    "hard_sigmoid": lambda x: _clip(x + 3, 0, 6) / 6,
    "hard_swish": lambda x: x * _clip(x + 3, 0, 6) / 6,
    "relu_squared": lambda x: max(x, mp.mpf(0)) ** 2,
    "sine": mp.sin,
    "leaky_relu:0.2": lambda x: x if x > 0 else mp.mpf(0.2) * x,
    "elu:0.5": lambda x: x if x > 0 else mp.expm1(x) / 2,
    "silu:4": lambda x: x * _sigmoid(4 * x),
    "softplus:0.25": lambda x: 4 * mp.log1p(mp.exp(x / 4)),
    "hard_tanh:2": lambda x: _clip(x, -2, 2),
    "sine:30": lambda x: mp.sin(30 * x),
}
# The parameters of the sines, whose moments have a closed form.
FREQUENCIES = {"sine": 1, "sine:30": 30}

DERIVATIVES: dict[str, Function] = {
    "selu": lambda x: mp.mpf(LAMBDA) * (1 if x > 0 else mp.mpf(ALPHA) * mp.exp(x)),
    "relu": lambda x: mp.mpf(x > 0),
    "leaky_relu": lambda x: mp.mpf(1) if x > 0 else mp.mpf(LEAKY_SLOPE),
    "elu": lambda x: mp.mpf(1) if x > 0 else mp.exp(x),
    "gelu": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.npdf(x),
    "silu": lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x)),
    "tanh": lambda x: mp.sech(x) ** 2,
    "sigmoid": lambda x: _sigmoid(x) * _sigmoid(-x),
    "softplus": _sigmoid,
    "erf": lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
    "hard_tanh": lambda x: mp.mpf(abs(x) < 1),
    "identity": lambda _: mp.mpf(1),
    "mish": _mish_slope,
    "gelu_tanh": _gelu_tanh_slope,
    "softsign": lambda x: 1 / (1 + abs(x)) ** 2,
    "relu6": lambda x: mp.mpf(0 < x < 6),
    "hard_sigmoid": lambda x: mp.mpf(abs(x) < 3) / 6,
    "hard_swish": lambda x: mp.mpf(x >= 3) if abs(x) >= 3 else x / 3 + mp.mpf(1) / 2,
    "relu_squared": lambda x: 2 * max(x, mp.mpf(0)),
    "sine": mp.cos,
    "leaky_relu:0.2": lambda x: mp.mpf(1) if x > 0 else mp.mpf(0.2),
    "elu:0.5": lambda x: mp.mpf(1) if x > 0 else mp.exp(x) / 2,
    "silu:4": lambda x: _sigmoid(4 * x) * (1 + 4 * x * _sigmoid(-4 * x)),
    "softplus:0.25": lambda x: _sigmoid(x / 4),
    "hard_tanh:2": lambda x: mp.mpf(abs(x) < 2),
    "sine:30": lambda x: 30 * mp.cos(30 * x),
}
KINKS = (-3, -2, -1, 0, 1, 2, 3, 6)


@lru_cache(maxsize=1)
def _rule() -> list[tuple[mp.mpf, mp.mpf]]:
    """Gauss–Legendre rule of 48 points on [-1, 1] (Newton's method on the recurrence)."""
    count, rule = 48, []
    for k in range(count):
        x = mp.cos(mp.pi * (k + mp.mpf(3) / 4) / (count + mp.mpf(1) / 2))
        for _ in range(8):
            p, previous = x, mp.mpf(1)
            for n in range(2, count + 1):
                p, previous = ((2 * n - 1) * x * p - (n - 1) * previous) / n, p
            slope = count * (previous - x * p) / (1 - x * x)
            x -= p / slope
        rule.append((x, 2 / ((1 - x * x) * slope**2)))
    return rule


def nodes(mean: float, variance: float) -> list[tuple[mp.mpf, mp.mpf, mp.mpf]]:
    """Return (x, z, weight) on panels of z in [-42, 42].

    Panels end at the kinks, around the kinks at the decay length of the density there, and at
    points of x between which activations are smooth.
    """
    m, s = mp.mpf(mean), mp.sqrt(mp.mpf(variance))
    cuts = {mp.mpf(k) for k in range(-42, 43, 3)}
    special = [mp.mpf(k) for k in (*KINKS, -4, 4, -8, 8, -16, 16, -32, 32, -64, 64)]
    cuts |= {(b - m) / s for b in special}
    for kink in KINKS:
        start = (kink - m) / s
        if abs(start) > 5:
            cuts |= {start + mp.sign(start) * j * 9 / abs(start) for j in range(1, 7)}
    edges = sorted(cut for cut in cuts if abs(cut) <= 42)
    result = []
    for left, right in pairwise(edges):
        half, centre = (right - left) / 2, (right + left) / 2
        for point, weight in _rule():
            z = centre + half * point
            result.append((m + s * z, z, half * weight * mp.npdf(z)))
    total = mp.fsum(weight for _, _, weight in result)
    return [(x, z, weight / total) for x, z, weight in result]


def moments(name: str, mean: float, variance: float) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    """Return (E φ, Var φ, E φ²)."""
    if name in FREQUENCIES:
        return _of_sine(FREQUENCIES[name], mp.mpf(mean), mp.mpf(variance))
    function = FUNCTIONS[name]
    values = [(function(x), weight) for x, _, weight in nodes(mean, variance)]
    total = mp.fsum(v * w for v, w in values)
    square = mp.fsum(v * v * w for v, w in values)
    return total, mp.fsum((v - total) ** 2 * w for v, w in values), square


def _of_sine(frequency: int, mean: mp.mpf, variance: mp.mpf) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    # E e^{ikωz} = e^{ikωm − k²ω²v/2}; quadrature of a fast sine would need a panel per oscillation.
    first = mp.exp(-(frequency**2) * variance / 2) * mp.sin(frequency * mean)
    square = (1 - mp.exp(-2 * frequency**2 * variance) * mp.cos(2 * frequency * mean)) / 2
    return first, square - first**2, square
