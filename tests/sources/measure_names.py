"""Measure how often `snstat weights` names the initialiser of random matrices, and how often it
names one for matrices that have none: `python -m tests.sources.measure_names [COUNT]`."""

from __future__ import annotations

import math
import sys
from collections import Counter

import numpy as np

import snstat
from tests.sources.initialisers import NAMES, cut, drawn, normal, shape_of, uniform

# How far the variance of what has no name is from that of any name, in standard errors.
FAR = 8.0


def right(count, seed=0, most=2048):
    """Return how often each name was missed for `count` matrices."""
    rng = np.random.default_rng(seed)
    missed = Counter()
    for number in range(count):
        name = NAMES[number % len(NAMES)]
        values = drawn(name, rng, shape_of(rng, most=most)).astype(np.float32)
        (tensor,) = snstat.weights({"w": values}).tensors
        if name not in [scheme.name for scheme in tensor.schemes]:
            missed[name] += 1
    return missed


def variances(units, inputs):
    """Return the variance of every name of independent weights."""
    both = units + inputs
    squares = [1 / inputs, 2 / inputs, 2 / both, 1 / (3 * inputs), 2 / units]
    squares += [2 * g * g / both for g in (0.75, 5 / 3, math.sqrt(2))] + [
        g * g / inputs for g in (0.75, 5 / 3)
    ]
    squares += [s * s for s in (0.001, 0.01, 0.02, 0.05, 1.0)] + [0.05**2 / 3]
    squares += [0.02**2 / count for count in (12, 24, 48, 72, 96)]
    return np.array([*squares, *(0.8796256610342398**2 * square for square in squares)])


def nameless(kind, rng, shape):
    """Return a matrix that no initialiser draws."""
    units, inputs = shape
    known = variances(units, inputs)
    std = math.sqrt(rng.choice(known[:3]))
    if kind == "other variance":
        law = rng.choice(["normal", "uniform", "cut"])
        excess = {"normal": 2.0, "uniform": 0.8, "cut": 1.37}[law]
        error = math.sqrt(excess / (units * inputs))
        while True:
            square = math.exp(rng.uniform(math.log(1e-7), math.log(10)))
            if np.min(np.abs(np.log(square / known))) > FAR * error:
                break
        make = {"normal": normal, "uniform": uniform, "cut": cut}[law]
        values = make(rng, shape, math.sqrt(square))
        return values / (0.8796256610342398 if law == "cut" else 1.0)
    if kind == "student":
        return rng.standard_t(5, shape) * std / math.sqrt(5 / 3)
    if kind == "laplace":
        return rng.laplace(size=shape) * std / math.sqrt(2)
    if kind == "rows":
        scale = np.exp(0.3 * rng.standard_normal((units, 1)))
        return normal(rng, shape, std) * scale / np.sqrt(np.mean(scale**2))
    if kind == "sparse":
        return normal(rng, shape, std * math.sqrt(2)) * (rng.random(shape) < 0.5)
    # A direction that training added, twice as strong as all directions of the draw.
    left, right = rng.standard_normal(units), rng.standard_normal(inputs)
    bulk = std * (math.sqrt(units) + math.sqrt(inputs))
    outer = np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
    return normal(rng, shape, std) + 2.0 * bulk * outer


KINDS = ("other variance", "student", "laplace", "rows", "sparse", "trained")


def false(count, kind, seed=1, most=2048):
    """Return how many of `count` matrices of a kind are given a name."""
    rng = np.random.default_rng(seed)
    named = 0
    for _ in range(count):
        values = nameless(kind, rng, shape_of(rng, most=most)).astype(np.float32)
        named += bool(snstat.weights({"w": values}).tensors[0].schemes)
    return named


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 2048
    lines = [f"missed of {total}: {dict(right(total, most=most))}"]
    for kind in KINDS:
        n = total if kind == KINDS[0] else total // 5
        lines.append(f"named of {n}, {kind}: {false(n, kind, most=most)}")
    sys.stdout.write("\n".join([*lines, ""]))
