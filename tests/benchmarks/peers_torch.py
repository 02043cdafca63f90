"""The loop over depth as a competent PyTorch user writes it: SELU, LeCun-normal weights, float32.

Each function returns a program that propagates one batch through a number of layers and returns the
contract's statistics of layers 1 to the last, in the order of `snstat.results.STATISTICS`. Buffers
and inputs are made beforehand, which favours the peer.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch.nn import functional

# A unit is dead where the activation is flat for every sample: below 0 for ReLU, never for others.
FLAT_BELOW = -math.inf
IN_PLACE = {
    "selu": partial(functional.selu, inplace=True),
    "relu": partial(functional.relu, inplace=True),
    "tanh": torch.tanh_,
}
APART = {"selu": functional.selu, "relu": functional.relu, "tanh": torch.tanh}
FLAT = {"relu": 0.0}


@torch.no_grad()
def statistics(x, highest, flat_below=FLAT_BELOW):
    """Measure x (batch, width); `highest` (width,) is the largest pre-activation of each unit.

    PyTorch sums pairwise, so that float32 sums are accurate to a few units of its precision. Sums
    in float64 would take twice as long.
    """
    batch, width = x.shape
    samples, units = x.mean(1), x.mean(0)
    mean = samples.mean().item()
    directions = torch.linalg.vector_norm(x, dim=1).reciprocal_() @ x
    squares = (x - mean).square_()
    variance = squares.mean().item()
    flat = squares.view(-1)
    # A single sample has no pair.
    pairs = batch * (batch - 1) or math.nan
    return (
        mean,
        variance,
        variance + mean * mean,
        # The total variance is the variance within groups plus that between their means.
        variance - units.var(correction=0).item(),
        variance - samples.var(correction=0).item(),
        (torch.dot(directions, directions).item() - batch) / pairs,
        torch.dot(flat, flat).item() / x.numel() / variance**2,
        torch.count_nonzero(highest <= flat_below).item() / width,
    )


def forward(width, batch, *, inputs=None, weights=None, activation="selu"):
    """Make a forward pass: `run(layers)` returns (layers, statistics).

    `inputs` (batch, width) and `weights(layer)` (fan_in, fan_out) replace random ones.
    """
    source = torch.randn(batch, width) if inputs is None else inputs
    buffer = torch.zeros(width, width)
    z, other = torch.empty_like(source), torch.empty_like(source)
    scale = 1 / math.sqrt(width)

    def draw(_layer):
        return buffer.normal_(0, scale)

    draw = weights or draw
    apply, flat_below = IN_PLACE[activation], FLAT.get(activation, FLAT_BELOW)

    @torch.no_grad()
    def run(layers):
        x, free, spare = source, z, other
        rows = []
        for layer in range(1, layers + 1):
            torch.mm(x, draw(layer), out=free)
            highest = free.amax(0)
            x, free, spare = apply(free), spare, free
            rows.append(statistics(x, highest, flat_below))
        return torch.tensor(rows, dtype=torch.float64).numpy()

    return run


def backward(width, batch, layers, *, inputs=None, weights=None, read_out=None, activation="selu"):
    """Make a forward pass and a backward pass by autograd.

    `run()` returns (layers, statistics) and the squared gradients (layers + 1,) with respect to the
    layer outputs, relative to the last. L is the sum of the last layer times a random `read_out`
    (batch, width).
    """
    source = torch.randn(batch, width) if inputs is None else inputs.clone()
    source.requires_grad_()
    out = torch.randn(batch, width) if read_out is None else read_out
    scale = 1 / math.sqrt(width)
    # Separate tensors, because autograd refuses a view whose base was written to since.
    kept = [torch.zeros(width, width) for _ in range(layers)]

    def draw(layer):
        return kept[layer - 1].normal_(0, scale)

    draw = weights or draw
    apply, flat_below = APART[activation], FLAT.get(activation, FLAT_BELOW)

    def run():
        rows, squares = [], []

        def note(gradient):
            flat = gradient.reshape(-1)
            squares.append(torch.dot(flat, flat).item())

        source.grad = None
        x = source
        for layer in range(1, layers + 1):
            z = torch.mm(x, draw(layer))
            x = apply(z)
            x.register_hook(note)
            rows.append(statistics(x.detach(), z.detach().amax(0), flat_below))
        # The gradient of L with respect to the last layer is the read-out.
        x.backward(out)
        note(source.grad)
        gradient = torch.tensor(squares[::-1], dtype=torch.float64).numpy()
        return torch.tensor(rows, dtype=torch.float64).numpy(), gradient / gradient[-1]

    return run
