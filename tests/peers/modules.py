"""Modules that PyTorch does not have, or not with masks and weights that are given.

Tensors are (batch, channels, *grid).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional
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


class Recurrent(nn.Module):
    """A recurrent module of PyTorch with recorded matrices: those on inputs of all gates, then
    those on units."""

    def __init__(self, module, matrices, *, last):
        super().__init__()
        self.module, self.last = module, last
        gates = len(matrices) // 2
        for end, own in (("ih_l0", matrices[:gates]), ("hh_l0", matrices[gates:])):
            weights = np.concatenate([matrix.values for matrix in own])
            biases = np.concatenate([matrix.biases for matrix in own])
            setattr(module, f"weight_{end}", nn.Parameter(torch.from_numpy(weights)))
            setattr(module, f"bias_{end}", nn.Parameter(torch.from_numpy(biases)))

    def forward(self, x):
        found, _ = self.module(x.transpose(1, 2))
        return found[:, -1] if self.last else found.transpose(1, 2)


class TokenEmbedding(nn.Module):
    """The embedding of numbers of tokens (batch, 1, *grid), with a given table (tokens, width)."""

    def __init__(self, table):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(table), freeze=False)

    def forward(self, x):
        return self.embedding(x[:, 0].long()).movedim(-1, 1)


class LearnedPositions(nn.Module):
    """x + the embedding of each time, with a given table (times, channels)."""

    def __init__(self, table):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(table), freeze=False)

    def forward(self, x):
        return x + self.embedding(torch.arange(x.shape[2])).T


class SinusoidalPositions(nn.Module):
    """x + sinusoids, as PyTorch's tutorial on transformers makes them."""

    def __init__(self, channels, times):
        super().__init__()
        position = torch.arange(times, dtype=torch.float64).unsqueeze(1)
        steps = torch.arange(0, channels, 2, dtype=torch.float64)
        div_term = torch.exp(steps * (-math.log(10000.0) / channels))
        encoding = torch.zeros(times, channels, dtype=torch.float64)
        encoding[:, 0::2] = torch.sin(position * div_term)
        encoding[:, 1::2] = torch.cos(position * div_term)[:, : channels // 2]
        self.register_buffer("encoding", encoding)

    def forward(self, x):
        return x + self.encoding.T


def attended(q, k, v, heads, *, causal, kept=None, rate=0.0):
    """Return what heads read, (batch, channels, tokens), by PyTorch's own function; where a mask of
    what is `kept` is given, (batch, heads, tokens, tokens), by the formula, because PyTorch draws
    its own."""
    q, k, v = (z.unflatten(1, (heads, -1)).transpose(2, 3) for z in (q, k, v))
    if kept is None:
        found = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    else:
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        if causal:
            later = torch.ones(scores.shape[2:], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        found = (scores.softmax(3) * kept / (1.0 - rate)) @ v
    return found.transpose(2, 3).flatten(1, 2)


class Attention(nn.Module):
    """nn.MultiheadAttention with recorded matrices: those of q, k, v and of the output.

    Where a `mask` of what is kept is given, (batch, heads, tokens, tokens), it is the formula of
    the module's documentation instead, because the module draws its own.
    """

    def __init__(self, matrices, heads, *, causal, mask=None, rate=0.0):
        super().__init__()
        units, read = (matrix.weights.fan_in for matrix in matrices[:2])
        self.causal, self.heads, self.rate = causal, heads, rate
        self.maps = nn.ModuleList(linear(matrix).module for matrix in matrices)
        self.register_buffer("mask", None if mask is None else torch.from_numpy(mask == 1))
        self.module = nn.MultiheadAttention(units, heads, kdim=read, vdim=read, batch_first=True)
        with torch.no_grad():
            q, k, v, o = (own.weight for own in self.maps)
            if read == units:
                self.module.in_proj_weight = nn.Parameter(torch.cat([q, k, v]))
            else:
                names = "q_proj_weight", "k_proj_weight", "v_proj_weight"
                for name, own in zip(names, (q, k, v), strict=True):
                    setattr(self.module, name, nn.Parameter(own.clone()))
            biases = [own.bias for own in self.maps]
            self.module.in_proj_bias = nn.Parameter(torch.cat(biases[:3]))
            self.module.out_proj.weight = nn.Parameter(o.clone())
            self.module.out_proj.bias = nn.Parameter(biases[3].clone())

    def forward(self, x, memory=None):
        x = x.transpose(1, 2)
        y = x if memory is None else memory.transpose(1, 2)
        later = torch.ones(x.shape[1], y.shape[1], dtype=torch.bool).triu(1)
        if self.mask is None:
            own = {"attn_mask": later} if self.causal else {}
            return self.module(x, y, y, need_weights=False, **own)[0].transpose(1, 2)
        read = (own(z).transpose(1, 2) for own, z in zip(self.maps[:3], (x, y, y), strict=True))
        found = attended(*read, self.heads, causal=self.causal, kept=self.mask, rate=self.rate)
        return self.maps[3](found.transpose(1, 2)).transpose(1, 2)


class Chain(nn.Module):
    """Modules in order, each fed with some of the outputs before it; 0 is the input, and -1, -2,
    ... are what comes from outside."""

    def __init__(self, modules, sources):
        super().__init__()
        self.parts, self.sources = nn.ModuleList(modules), sources

    def forward(self, x, *outer):
        found = [x]
        for module, own in zip(self.parts, self.sources, strict=True):
            found.append(module(*[found[n] if n >= 0 else outer[-1 - n] for n in own]))
        return found[-1]


class Turns(nn.Module):
    """Modules one after the other, which are all fed with the same from outside."""

    def __init__(self, turns):
        super().__init__()
        self.turns = nn.ModuleList(turns)

    def forward(self, x, *outer):
        for turn in self.turns:
            x = turn(x, *outer)
        return x


class Residual(nn.Module):
    """total(shortcut(x), branch(x))."""

    def __init__(self, branch, shortcut, total):
        super().__init__()
        self.branch, self.shortcut, self.total = branch, shortcut, total

    def forward(self, x, *outer):
        branch = self.branch(x, *outer)  # its layers come first in the order of rows
        return self.total(self.shortcut(x, *outer) if self.shortcut else x, branch)


class Padded(nn.Module):
    """A convolution after padding of its own."""

    def __init__(self, module, pads, mode):
        super().__init__()
        self.module, self.pads, self.mode = module, pads, mode

    def forward(self, x):
        return self.module(nn.functional.pad(x, self.pads, self.mode))


def transposed(layer, shape, matrix, biases):
    """Return the ConvTranspose1d or ConvTranspose2d that has a recorded matrix, from the channels
    before to all taps, and biases of the channels after, None for none."""
    axes = len(shape.grid)
    last = layer.crop if layer.crop_end is None else layer.crop_end
    kernel, stride, crop, crop_end = (
        (value,) * axes if isinstance(value, int) else value
        for value in (layer.kernel, layer.stride, layer.crop, last)
    )
    added = tuple(first - other for first, other in zip(crop, crop_end, strict=True))
    make = (nn.ConvTranspose1d, nn.ConvTranspose2d)[axes - 1]
    bias = biases is not None
    module = make(shape.channels, layer.channels, kernel, stride, crop, added, bias=bias)
    weights = matrix.values.reshape(*kernel, layer.channels, shape.channels)
    weights = np.moveaxis(weights, (-1, -2), (0, 1))
    module.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weights)))
    if biases is not None:
        module.bias = nn.Parameter(torch.from_numpy(biases.astype(weights.dtype)))
    return module


def convolution(layer, shape, matrices, *, channels, groups):
    """Return the Conv1d or Conv2d with so many `channels` after it that has recorded matrices, one
    for each of the `groups` or one of all."""
    axes = len(shape.grid)
    kernel, stride, dilation = (
        (value,) * axes if isinstance(value, int) else value
        for value in (layer.kernel, layer.stride, layer.dilation)
    )
    make = (nn.Conv1d, nn.Conv2d)[axes - 1]
    module = make(shape.channels, channels, kernel, stride, dilation=dilation, groups=groups)
    weights = np.concatenate([matrix.values for matrix in matrices])
    weights = np.moveaxis(weights.reshape(len(weights), *kernel, -1), -1, 1)
    module.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weights)))
    module.bias = nn.Parameter(torch.from_numpy(np.concatenate([m.biases for m in matrices])))
    pads = []
    for size, k, s, d in zip(shape.grid, kernel, stride, dilation, strict=True):
        reach = d * (k - 1)
        before = {"valid": 0, "causal": reach}.get(layer.padding, reach // 2)
        last = (-(-size // s) - 1) * s + reach
        after = 0 if layer.padding == "valid" else max(last - before - size + 1, 0)
        pads = [before, after, *pads]
    return Padded(module, pads, "circular" if layer.padding == "circular" else "constant")
