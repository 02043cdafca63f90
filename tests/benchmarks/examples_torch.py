"""Networks of any layers in PyTorch's own modules: float32, weights and masks drawn anew.

The modules are those of the twin of a network (tests/peers). What a program needs beside them is
made beforehand, which favours the peer.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import nn

from snstat.activation import resolve
from snstat.activation.saturated import steep_range
from snstat.engine.general.workshop import Workshop
from snstat.engine.sampler import live_range
from snstat.layers.draw import Pass
from snstat.layers.initialisers import PLAIN
from tests.peers.functions import TORCH
from tests.peers.modules import Attention, Masked, Padded
from tests.peers.recorder import Matrix, Recorder
from tests.peers.twin import Maker

NONE = math.nan
# The kinds that give what an activation gives.
ACTIVATED = "dense", "conv", "conv_transpose", "activation"


@torch.no_grad()
def statistics(x, live, steep):
    """Measure x (batch, channels, *grid), in the order of MEASURED_OF_TENSORS.

    Channels are dead whose values are all at most `live`, and values are saturated at or beyond the
    bounds `steep`; None where there is no such thing.
    """
    batch, channels = x.shape[:2]
    x = x.flatten(2) if x.dim() > 2 else x.unsqueeze(2)
    positions = x.shape[2]
    mean = x.mean().item()
    norms = torch.linalg.vector_norm(x, dim=1)  # (batch, positions)
    lengths = torch.linalg.vector_norm(norms, dim=1)
    over_positions = position_cosine = NONE
    if positions > 1:
        along = torch.einsum("bcp,bp->bc", x, norms.reciprocal().nan_to_num(posinf=0.0))
        counted = torch.count_nonzero(norms, dim=1)
        aligned = (along.square().sum(1) - counted).sum() / (counted * (counted - 1)).sum()
        over_positions, position_cosine = x.var(2, correction=0).mean(), aligned.item()
    units = x.mean(1)
    inverse = lengths.reciprocal().nan_to_num(posinf=0.0)
    # Samples in the order of their memory, of which every sum over samples is a product.
    whole = x if x.is_contiguous() else x.transpose(1, 2)
    rows = whole.reshape(batch, -1)
    directions, middle = torch.stack([inverse, torch.full_like(inverse, 1 / batch)]) @ rows
    silent = batch - torch.count_nonzero(lengths).item()
    pairs = (batch - silent) * (batch - silent - 1) or NONE
    squares = (x - mean).square_()
    variance = squares.mean().item()
    flat = squares.view(-1) if squares.is_contiguous() else squares.transpose(1, 2).reshape(-1)
    dead = 0.0 if live is None else torch.count_nonzero(x.amax((0, 2)) <= live).item() / channels
    beyond = NONE
    if steep is not None:
        beyond = torch.count_nonzero((x <= steep[0]) | (x >= steep[1])).item() / x.numel()
    return tuple(
        map(
            float,
            (
                mean,
                variance,
                variance + mean * mean,
                variance - (middle - mean).square_().mean(),
                variance - (units - mean).square_().mean(),
                (torch.dot(directions, directions).item() - (batch - silent)) / pairs,
                torch.dot(flat, flat).item() / x.numel() / variance**2 if variance else NONE,
                dead,
                silent / batch,
                beyond,
                torch.linalg.vector_norm(x, math.inf),
                over_positions,
                position_cosine,
            ),
        )
    )


class Quick(Recorder):
    """A recorder that does not multiply by a matrix to see it: programs draw their own."""

    def linear(self, values, weights):
        matrix, biases = self._draw.matrix(replace(weights, form=PLAIN))
        self.matrices.append(Matrix(weights, matrix, biases))
        return Pass(np.ones((weights.fan_out, *values.shape[1:]), values.dtype), None)


class Program:
    """One run of a network: `run()` draws, goes forward, and back if asked, and returns the
    statistics of all layers (layers, statistics) and their squared gradients, by layer."""

    def __init__(self, network, batch, *, backward):
        self.network, self.batch, self.backward = network, batch, backward
        shop = Workshop(np.dtype("float32"), np.uint64(0), np.zeros(1, np.uint8), train=True)
        maker = Maker(batch, shop, 0, Quick)
        known = {}
        self.body = as_users_write_it(maker.module(network.block, [network.input]), known)
        self.body.float().requires_grad_(False)
        self.draws, self.rows, self.squares = [], [], {}
        modules = [known[module] for module in maker.rows]
        for number, (row, module) in enumerate(zip(network.rows(), modules, strict=True), 1):
            self.draws += drawn_by(row, module)
            bounds = bounds_of(row.layer)
            module.register_forward_hook(partial(self._measure, number, bounds))

    def __call__(self):
        for draw in self.draws:
            draw()
        self.rows, self.squares = [], {}
        shape = self.network.input
        size = self.batch, shape.channels, *shape.grid
        if shape.tokens:
            x = torch.randint(shape.tokens, size)
        else:
            x = torch.randn(size, requires_grad=self.backward)
        with torch.set_grad_enabled(self.backward):
            out = self.body(x)
            if self.backward:
                out.backward(torch.randn_like(out))
        if self.backward and not shape.tokens:
            self._note(0, x.grad)
        return np.array(self.rows), self.squares

    def _measure(self, number, bounds, module, inputs, output):  # noqa: ARG002  # of a hook
        self.rows.append(statistics(output.detach(), *bounds))
        if self.backward:
            # The way back ends at an embedding, whose input has no gradient.
            output = output if output.requires_grad else output.detach().requires_grad_()
            output.register_hook(partial(self._note, number))
        return output

    def _note(self, number, gradient):
        self.squares[number] = torch.linalg.vector_norm(gradient).item() ** 2


def bounds_of(layer):
    """Return the bounds that `statistics` takes of the activation of a layer."""
    name = getattr(layer, "activation", None)
    if name is None or layer.kind not in ACTIVATED:
        return None, None
    live, steep = live_range(name).low, steep_range(resolve(name))
    reached = TORCH[name](torch.tensor([live, *steep])).tolist()
    return (
        None if live == -math.inf else reached[0],
        None if math.isnan(steep[0]) else (reached[1], reached[2]),
    )


def drawn_by(row, module):
    """Return what draws the weights and biases of a layer anew."""
    matrices = row.layer.matrices(row.before)
    uniform = bool(matrices) and matrices[0].distribution == "uniform"
    if isinstance(module, Attention):
        module = module.module
    found = []
    for parameter in module.parameters():
        std = parameter.detach().std().item() if parameter.numel() > 1 else 0.0
        if std == 0:  # biases that are 0
            continue
        if uniform:
            found.append(
                partial(parameter.detach().uniform_, -math.sqrt(3) * std, math.sqrt(3) * std)
            )
        else:
            found.append(partial(parameter.detach().normal_, 0.0, std))
    return found


def as_users_write_it(module, known):
    """Return a module with what draws masks anew, and what pads zeros within its convolution.

    `known` are the modules that others stand for, by what they stand for.
    """
    if module in known:
        return known[module]
    for name, child in list(module.named_children()):
        setattr(module, name, as_users_write_it(child, known))
    found = module
    if isinstance(module, Masked):
        found = nn.Dropout(module.rate)
    if isinstance(module, Padded) and module.mode == "constant":
        pads = module.pads[::-1]
        if pads[::2] == pads[1::2]:
            found = module.module
            found.padding = tuple(pads[::2])
    known[module] = found
    return found
