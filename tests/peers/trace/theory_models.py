"""Modules whose layers theory knows, and some of which it knows a part."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def lecun(fan_in: int, units: int) -> nn.Linear:
    """Return a linear layer with LeCun weights and no biases."""
    layer = nn.Linear(fan_in, units)
    nn.init.normal_(layer.weight, std=fan_in**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


class PreNorm(nn.Module):
    """x + a half of what two layers make of the norm of x."""

    def __init__(self, width: int, rate: float) -> None:
        super().__init__()
        self.norm, self.up = nn.LayerNorm(width), nn.Linear(width, 2 * width)
        self.act, self.drop = nn.GELU(), nn.Dropout(rate)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.5 * self.drop(self.down(self.act(self.up(self.norm(x)))))


def prenorm(width: int = 64, blocks: int = 2, rate: float = 0.1) -> nn.Module:
    """Return a residual network with norms and dropout, by PyTorch's default initialiser."""
    layers = [PreNorm(width, rate) for _ in range(blocks)]
    return nn.Sequential(nn.Linear(width, width), *layers, nn.RMSNorm(width), nn.Linear(width, 5))


def batch_normed(width: int = 64) -> nn.Module:
    """Return a network with batch norm, on images that are flattened."""
    return nn.Sequential(
        nn.Flatten(),
        lecun(48, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        lecun(width, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
    )


class Functions(nn.Module):
    """Linear layers and functions in the code between them; `inplace` writes to their outputs."""

    def __init__(self, width: int = 64, *, inplace: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.c = (lecun(width, width) for _ in range(3))
        self.inplace = inplace

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x.view(x.shape[0], -1))
        if self.inplace:
            shown = y.view(y.shape)
            twice = shown.mul_(2.0)
            y.mul_(0.5)
            y = twice.relu_()
            return y + self.c(torch.tanh_(self.b(y)))
        y = functional.relu(y)
        return self.c(torch.tanh(self.b(y))).add(y)


class Modules(nn.Module):
    """The same, by modules."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.a, self.b, self.c = (lecun(width, width) for _ in range(3))
        self.relu, self.tanh = nn.ReLU(inplace=True), nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.a(x))
        return self.c(self.tanh(self.b(y))) + y


class Gated(nn.Module):
    """tanh(a) of one matrix times what another one makes, less twice a third, beside a half of the
    ReLU of a fourth less that of a fifth."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d, self.e = (lecun(width, width) for _ in range(5))
        self.scale = nn.Parameter(torch.full((width,), 0.25))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gated = torch.tanh(self.a(x)) * self.b(x) * self.scale
        first = torch.sub(gated, self.c(x), alpha=2.0)
        second = self.d(x).relu() / 2.0 - self.e(x).relu()
        return torch.cat([first, second], dim=-1)


class Chosen(nn.Module):
    """A module whose values decide what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.a = lecun(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        return y if float(y.sum()) > 0 else -y
