"""Networks of any layers as a competent PyTorch user writes the loop: float32, weights drawn anew.

A program runs one batch through the layers and measures every row as `peers_torch` does. Buffers
of weights are made beforehand, which favours the peer.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from tests.benchmarks.peers_torch import statistics

# What keeps the statistics from counting dead units of layers without an activation.
NEVER = math.inf


class Runner:
    """One run: `row` notes the output of a layer, and its gradient on the way back."""

    def __init__(self, *, backward):
        self.backward = backward
        self.rows, self.squares = [], []
        self._buffers = {}

    def start(self, batch, width):
        self.rows, self.squares = [], []
        x = torch.randn(batch, width)
        return x.requires_grad_() if self.backward else x

    def dense(self, name, x, width, gain=1.0):
        key = name, x.shape[1], width
        if key not in self._buffers:
            self._buffers[key] = torch.zeros(x.shape[1], width)
        return torch.mm(x, self._buffers[key].normal_(0, gain / math.sqrt(x.shape[1])))

    def row(self, x, before=None):
        """Measure the output of a layer, whose pre-activations are `before` if it has any."""
        highest = torch.full((x.shape[1],), NEVER) if before is None else before.detach().amax(0)
        self.rows.append(statistics(x.detach(), highest))
        if self.backward:
            x.register_hook(self._note)
        return x

    def finish(self, x):
        if self.backward:
            x.backward(torch.randn_like(x))
        return torch.tensor(self.rows, dtype=torch.float64).numpy()

    def _note(self, gradient):
        flat = gradient.reshape(-1)
        self.squares.append(torch.dot(flat, flat).item())


def _program(layers, batch, width, *, backward):
    runner = Runner(backward=backward)

    def run():
        with torch.set_grad_enabled(backward):
            return runner.finish(layers(runner, runner.start(batch, width)))

    return run


def mlp(batch, narrow, wide, *, backward):  # noqa: ARG001  # as the others
    """784 → wide × 8 → 10, ReLU, a linear head."""

    def layers(run, x):
        for number in range(8):
            z = run.dense(number, x, wide, math.sqrt(2.0))
            x = run.row(functional.relu(z), z)
        return run.row(run.dense("head", x, 10))

    return _program(layers, batch, 784, backward=backward)


def residual(batch, narrow, wide, *, backward):
    """12 pre-norm residual blocks: narrow → wide → narrow, GELU, dropout 0.1."""

    def layers(run, x):
        for number in range(12):
            y = run.row(functional.layer_norm(x, x.shape[1:]))
            z = run.dense((number, "up"), y, wide)
            y = run.row(functional.gelu(z), z)
            y = run.row(functional.dropout(y, 0.1))
            y = run.row(run.dense((number, "down"), y, narrow))
            x = run.row(x + y)
        return x

    return _program(layers, batch, narrow, backward=backward)


def batch_norm(batch, narrow, wide, *, backward):  # noqa: ARG001  # as the others
    """24 × (dense, batch norm, ReLU)."""

    def layers(run, x):
        for number in range(24):
            y = run.row(run.dense(number, x, narrow))
            y = run.row(functional.batch_norm(y, None, None, training=True))
            x = run.row(functional.relu(y), y)
        return x

    return _program(layers, batch, narrow, backward=backward)


PROGRAMS = {"mlp": mlp, "residual": residual, "batch_norm": batch_norm}
