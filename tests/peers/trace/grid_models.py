"""Convolutional modules whose layers theory knows, and some of which it knows a part."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def convnet(width: int = 32, pool: type[nn.Module] = nn.MaxPool2d) -> nn.Module:
    """Return a network that ends in a linear layer on all positions."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        pool(2),
        nn.Conv2d(width, width, 3, padding="same"),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, 10),
    )


class PreAct(nn.Module):
    """A residual block that begins with its norm, as in the second ResNet."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Conv2d(channels, out, 1, stride, bias=False) if stride > 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.norm1(x))
        x = x if self.down is None else self.down(y)
        return x + self.conv2(self.relu(self.norm2(self.conv1(y))))


class PreResNet(nn.Module):
    """A ResNet of two stages, the second with a stride of 2, with He weights."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.stages = nn.Sequential(
            PreAct(width, width, 1), PreAct(width, 2 * width, 2), PreAct(2 * width, 2 * width, 1)
        )
        self.norm, self.head = nn.BatchNorm2d(2 * width), nn.Linear(2 * width, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm(self.stages(self.stem(x))))
        return self.head(y.mean((2, 3)))


class ConvNeXt(nn.Module):
    """A block of ConvNeXt, with channels last in its middle, after a stem of patches."""

    def __init__(self, width: int = 32, scale: float = 1e-6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 4)
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm, self.up = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 4 * width)
        self.act, self.down = nn.GELU(), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.scale * self.down(self.act(self.up(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


def generator(width: int = 16, latent: int = 64) -> nn.Module:
    """Return the generator of a DCGAN, with its weights of standard deviation 0.02."""
    model = nn.Sequential(
        nn.ConvTranspose2d(latent, 2 * width, 4, 1, 0, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(2 * width, width, 2, 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    for module in model:
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return model


class Waves(nn.Module):
    """Causal convolutions in time with gates, padded on the left by hand."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.inward = nn.Conv1d(4, width, 1)
        self.gates = nn.ModuleList(nn.Conv1d(width, width, 2, dilation=2**n) for n in range(2))
        self.values = nn.ModuleList(nn.Conv1d(width, width, 2, dilation=2**n) for n in range(2))
        self.outward = nn.Conv1d(width, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inward(x)
        for gate, value in zip(self.gates, self.values, strict=True):
            y = functional.pad(x, (gate.dilation[0], 0))
            x = x + torch.tanh(value(y)) * torch.sigmoid(gate(y))
        return self.outward(x)
