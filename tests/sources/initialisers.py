"""Random matrices (units, fan_in) drawn as named initialisers draw them, written independently of
snstat, and matrices that no initialiser draws."""

from __future__ import annotations

import math

import numpy as np

TRUNCATED_STD = 0.8796256610342398


def normal(rng, shape, std):
    return rng.standard_normal(shape) * std


def uniform(rng, shape, std):
    return rng.uniform(-math.sqrt(3) * std, math.sqrt(3) * std, shape)


def cut(rng, shape, std):
    """A normal of standard deviation `std` before it is cut at two of it."""
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return values * std


def orthogonal(rng, shape, gain):
    units, inputs = shape
    q, r = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
    q = q * np.sign(np.diag(r))
    return gain * (q if units >= inputs else q.T)


def _square(kind, units, inputs):
    return {"lecun": 1 / inputs, "he": 2 / inputs, "glorot": 2 / (units + inputs)}[kind]


def drawn(name, rng, shape):
    """Return a matrix that the initialiser of this name draws."""
    units, inputs = shape
    if name == "torch_default":
        return rng.uniform(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), shape)
    if name.startswith("orthogonal"):
        return orthogonal(rng, shape, 1.0 if name == "orthogonal" else math.sqrt(2))
    if name in CONSTANTS:
        return np.full(shape, CONSTANTS[name])
    if name == "uniform(limit=0.05)":
        return rng.uniform(-0.05, 0.05, shape)
    if "std=" in name:
        size, _, count = name.partition("std=")[2].rstrip(")").partition("/√")
        std = float(size) / math.sqrt(float(count or 1))
        return (cut if name.startswith("truncated") else normal)(rng, shape, std)
    if "mode=fan_out" in name:
        return (uniform if "uniform" in name else normal)(rng, shape, math.sqrt(2 / units))
    kind, _, law = name.partition("(")[0].partition("_")
    std = math.sqrt(_square(kind, units, inputs))
    if "gain" in name:
        gain = {"3/4": 0.75, "5/3": 5 / 3, "1.414": math.sqrt(2)}[
            name.partition("gain=")[2].rstrip(")")
        ]
        std *= gain / (math.sqrt(2) if kind == "he" else 1)
    if law == "truncated":
        return cut(rng, shape, std / TRUNCATED_STD)
    if law == "truncated_uncorrected":
        return cut(rng, shape, std)
    return (uniform if law == "uniform" else normal)(rng, shape, std)


CONSTANTS = {"zeros": 0.0, "ones": 1.0, "constant": 0.3}
LAWS = ("normal", "uniform", "truncated", "truncated_uncorrected")
NAMES = (
    "torch_default",
    "orthogonal",
    "orthogonal(gain=1.414)",
    *CONSTANTS,
    *(f"{kind}_{law}" for kind in ("lecun", "he", "glorot") for law in LAWS),
    *(f"he_{law}(mode=fan_out)" for law in ("normal", "uniform")),
    *(
        f"{kind}_{law}(gain={gain})"
        for kind in ("he", "glorot")
        for law in ("normal", "uniform")
        for gain in ("3/4", "5/3")
    ),
    *(f"glorot_{law}(gain=1.414)" for law in ("normal", "uniform")),
    *(f"normal(std={std})" for std in ("0.001", "0.01", "0.02", "0.05", "1")),
    *(f"truncated_normal(std={std})" for std in ("0.001", "0.01", "0.02", "0.05", "1")),
    *(f"normal(std=0.02/√{count})" for count in (12, 24, 48, 72, 96)),
    "uniform(limit=0.05)",
)


def shape_of(rng, least=16, most=2048):
    """Return a random shape with sides that are evenly spread in their logarithm."""
    sides = np.exp(rng.uniform(math.log(least), math.log(most + 1), 2))
    return tuple(int(side) for side in sides)
