"""Stacks for the tests of rules, without a simulation, and the plain loops that they are compared
with."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import ACTIVATIONS
from snstat.checks.bounds import Bounds
from snstat.checks.judge import judge
from snstat.checks.network_case import NetworkCase
from snstat.checks.rules import CODES
from snstat.checks.stack_case import StackCase
from snstat.experiment.inputs import DrawnInputs
from snstat.network.network import Network
from snstat.network.stack import Stack

# Midpoints, so that a kink or a jump at 0 causes an error of second order in the step only.
NODES = 2e-3 * (np.arange(-6000, 6000) + 0.5)
WEIGHTS = np.exp(-0.5 * NODES * NODES) / np.exp(-0.5 * NODES * NODES).sum()


def case(activation, depth=64, *, batch=64, mean=0.0, std=1.0, bounds=None, **stack):
    """Return the case of a stack with random inputs."""
    built = Stack.build(activation, depth, **stack)
    inputs = DrawnInputs("normal", built.width, batch, mean, std)
    return StackCase(built, batch, inputs.moments(), Bounds(**(bounds or {})))


def network_of(*layers, channels=256, name="net", **law):
    """Return the network of these layers, as plain data."""
    form = {"name": name, "input": {"channels": channels} | law, "layers": list(layers)}
    return Network.read(form)


def network_case(*layers, batch=64, bounds=None, channels=256, **law):
    """Return the case of a network with random inputs, as plain data: see `network_of`."""
    network = network_of(*layers, channels=channels, **law)
    std = network.law.std
    inputs = DrawnInputs("normal", network.input.units, batch, network.law.mean, std)
    return NetworkCase(network, batch, inputs.moments(), Bounds(**(bounds or {})))


def dense(width=256, activation=None, **keys):
    """Return a dense layer, as plain data."""
    form = {"kind": "dense", "width": width} | keys
    return form if activation is None else form | {"activation": activation}


def residual(*layers, **keys):
    """Return a residual, as plain data."""
    return {"kind": "residual", "layers": list(layers)} | keys


def repeated(times, *layers, **keys):
    """Return a block of these layers, as plain data."""
    return {"kind": "block", "times": times, "layers": list(layers)} | keys


NORM = {"kind": "layer_norm"}
DROPPED = repeated(16, dense(activation="relu"), {"kind": "dropout", "rate": 0.1})
STREAM = repeated(8, residual(NORM, dense(activation="relu"), dense()))
RING = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "circular"}

# activation, depth, options -> verdict, codes
JUDGEMENTS = [
    ("selu", 64, {}, "self-normalizing", set()),
    ("selu", 512, {}, "gradient-exploding", {"SN202"}),
    ("relu", 16, {}, "stable", set()),
    ("relu", 64, {}, "collapsed", {"SN301"}),
    ("relu", 30, {"weight_gain": 2.0}, "exploding", {"SN102", "SN202"}),
    ("relu", 600, {"weight_gain": 2.0}, "non-finite", {"SN001", "SN102", "SN202", "SN301"}),
    ("tanh", 64, {}, "stable", set()),
    ("tanh", 64, {"weight_gain": 1.5}, "chaotic", {"SN302"}),
    ("tanh", 64, {"weight_gain": 20.0}, "chaotic", {"SN202", "SN302", "SN401"}),
    ("tanh", 20, {}, "stable", set()),
    ("gelu", 64, {}, "vanishing", {"SN101", "SN201"}),
    ("sigmoid", 4, {}, "collapsed", {"SN301"}),
    ("selu", 64, {"weight_gain": 0.75}, "stable", {"SN104", "SN601"}),
    ("selu", 64, {"init": "he_normal"}, "exploding", {"SN102", "SN103", "SN601"}),
    (
        "selu",
        64,
        {"init": "torch_default"},
        "vanishing",
        {"SN101", "SN104", "SN201", "SN301", "SN601"},
    ),
    ("identity", 64, {}, "stable", set()),
    # Exactly half of the units are dead for a single sample, which is not more than half.
    ("relu", 8, {"batch": 1}, "stable", set()),
]

JUDGED = {}


def judged(*arguments, codes=CODES, **options):
    """Return the verdict on a stack and its findings by code."""
    key = repr((arguments, sorted(codes), options))
    if key not in JUDGED:
        verdict, findings = judge(case(*arguments, **options), frozenset(codes))
        JUDGED[key] = verdict, {finding.code: finding for finding in findings}
    return JUDGED[key]


def mean_of(function, q):
    """E[function(√q z)] by the trapezoidal rule."""
    return float(WEIGHTS @ function(math.sqrt(q) * NODES))


def second_moments(activation, gain, depth, start=1.0, bias=0.0):
    """E[φ²] of layers 0..depth, and q of layers 1..depth, by a plain loop."""
    function, second, seconds, places = ACTIVATIONS[activation].function, start, [start], []
    for _ in range(depth):
        q = gain**2 * second + bias**2
        second = mean_of(lambda x: function(x) ** 2, q)
        seconds.append(second)
        places.append(q)
    return np.array(seconds), np.array(places)
