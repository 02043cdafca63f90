"""Small networks that are traced in the tests."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def mlp(width: int = 128, depth: int = 16) -> nn.Module:
    """Return a SELU network with LeCun weights and no biases."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=False)
        nn.init.normal_(linear.weight, std=width**-0.5)
        layers += [linear, nn.SELU()]
    return nn.Sequential(*layers)


class Block(nn.Module):
    """A residual block of two convolutions, with one activation for both."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride > 1 or channels != out:
            self.down = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.down is None else self.down(x)))


class ResNet(nn.Module):
    """A ResNet of two stages."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(Block(width, width, 1), Block(width, width, 1))
        self.layer2 = nn.Sequential(Block(width, 2 * width, 2))
        self.fc = nn.Linear(2 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))

    def example_inputs(self) -> list[str]:
        return ["Bx3x16x16"]


class Repeated(nn.Module):
    """One linear layer and one activation, applied four times."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.l, self.act = nn.Linear(width, width), nn.SELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(4):
            x = self.act(self.l(x))
        return x


class UNet(nn.Module):
    """Down by pooling and up again, with a connection across."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.inward = nn.Conv2d(3, channels, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.middle = nn.Conv2d(channels, channels, 3, padding=1)
        self.up = nn.Upsample(scale_factor=2)
        self.outward = nn.Conv2d(2 * channels, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inward(x)
        y = self.up(self.middle(self.pool(x)))
        return self.outward(torch.cat([x, y], 1))


class Gan(nn.Module):
    """A generator, and a discriminator that is called for real and for made samples."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.G = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width))
        self.D = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(), nn.Linear(width, 1))

    def forward(self, real: torch.Tensor, noise: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"real": self.D(real), "made": self.D(self.G(noise))}


class Stages(nn.Module):
    """Linear layers, each with a name, and what is called between two of them."""

    def __init__(self, between: nn.Module, width: int = 8) -> None:
        super().__init__()
        self.a, self.between, self.b = nn.Linear(width, width), between, nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.between(self.a(x)))


class Log(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x)


class LogBetween(nn.Module):
    """The same in the code of the parent."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.log(self.a(x)))


class Windows(nn.Module):
    """Windows merged with the batch, as in Swin: (B·windows, T, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        return self.inner(x.reshape(batch * 4, length // 4, width)).reshape(x.shape)


class Mixed(nn.Module):
    """A block with channels last within a network with channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.norm, self.up = nn.LayerNorm(5), nn.Linear(5, 20)
        self.act, self.down = nn.GELU(), nn.Linear(20, 5)
        self.last = nn.Conv2d(5, 4, 1)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        y = self.down(self.act(self.up(self.norm(x.permute(0, 2, 3, 1)))))
        return self.relu(self.last(x + y.permute(0, 3, 1, 2)))


class TiedTokens(nn.Module):
    """A weight used twice: first as rows, then as a matrix."""

    def __init__(self):
        super().__init__()
        self.tokens, self.head = nn.Embedding(11, 8), nn.Linear(8, 11, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, x):
        return self.head(self.tokens(x))
