"""Modules that PyTorch does not have, or not with masks and weights that are given.

Tensors are (batch, channels, *grid).
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from tests.peers.functions import TORCH


class Called(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def activation(name):
    """Return φ as a module."""
    if name not in TORCH:
        raise LookupError(f"{name} has no twin in PyTorch: name it in tests/peers/functions.py")
    return Called(TORCH[name])


class OverChannels(nn.Module):
    """A module that acts on the last axis, for channels on the second one."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x.movedim(1, -1)).movedim(-1, 1)


class Standardized(nn.Module):
    """G (w − mean)/(√fan_in · std) of the weights of each unit (arXiv:2101.08692)."""

    def __init__(self, gain):
        super().__init__()
        self.gain = gain

    def forward(self, weight):
        std, mean = torch.std_mean(weight, dim=1, correction=0, keepdim=True)
        return self.gain * (weight - mean) / (math.sqrt(weight.shape[1]) * std)


def linear(matrix):
    """Return the Linear that has a recorded matrix and its biases."""
    module = nn.Linear(matrix.weights.fan_in, matrix.weights.fan_out)
    module.weight = nn.Parameter(torch.from_numpy(matrix.values))
    module.bias = nn.Parameter(torch.from_numpy(matrix.biases))
    form, gain = matrix.weights.form, matrix.weights.gain
    if form == "normalized":
        weight_norm(module)
        nn.init.constant_(module.parametrizations.weight.original0, gain)
    elif form == "standardized":
        parametrize.register_parametrization(module, "weight", Standardized(gain))
    return OverChannels(module)


class Masked(nn.Module):
    """Dropout with a given mask, true where a unit is kept."""

    def __init__(self, mask, rate):
        super().__init__()
        self.rate = rate
        self.register_buffer("mask", mask)

    def forward(self, x):
        return x * self.mask / (1.0 - self.rate)


class AlphaMasked(nn.Module):
    """Alpha dropout with a given mask, true where a unit is kept (arXiv:1706.02515)."""

    # The limit of SELU at −∞.
    LEVEL = nn.functional.selu(torch.tensor(-100.0, dtype=torch.float64)).item()

    def __init__(self, mask, rate):
        super().__init__()
        keep = 1.0 - rate
        self.factor = (keep + self.LEVEL**2 * keep * rate) ** -0.5
        self.shift = -self.factor * rate * self.LEVEL
        self.register_buffer("mask", mask)

    def forward(self, x):
        return self.factor * torch.where(self.mask, x, self.LEVEL) + self.shift


class Highway(nn.Module):
    """t h + (1 − t) x with the gate t (arXiv:1505.00387)."""

    def __init__(self, hidden, gate, transfer_bias):
        super().__init__()
        self.hidden, self.gate, self.transfer_bias = hidden, gate, transfer_bias

    def forward(self, x):
        t = torch.sigmoid(self.gate(x) + self.transfer_bias)
        return t * self.hidden(x) + (1.0 - t) * x


class Chain(nn.Module):
    """Modules in order, each fed with some of the outputs before it; 0 is the input."""

    def __init__(self, modules, sources):
        super().__init__()
        self.parts, self.sources = nn.ModuleList(modules), sources

    def forward(self, x):
        found = [x]
        for module, own in zip(self.parts, self.sources, strict=True):
            found.append(module(*[found[n] for n in own]))
        return found[-1]


class Residual(nn.Module):
    """total(shortcut(x), branch(x))."""

    def __init__(self, branch, shortcut, total):
        super().__init__()
        self.branch, self.shortcut, self.total = branch, shortcut, total

    def forward(self, x):
        branch = self.branch(x)  # its layers come first in the order of rows
        return self.total(self.shortcut(x), branch)
