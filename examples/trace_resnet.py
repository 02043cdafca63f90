"""How large are the outputs of a ResNet's blocks at initialisation? Needs PyTorch.

Each block adds a branch that ends in a batch norm, of variance 1, to what came in. Blocks with a
convolution as skip start anew. Each trial builds the model again, so the standard errors in the
table are those of independent draws of the weights.
"""

from torch import Tensor, nn

import snstat


class Block(nn.Module):
    """Two convolutions with batch norm, added to what came in."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        stride = out // channels
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.skip = nn.Conv2d(channels, out, 1, stride) if stride > 1 else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum after its activation."""
        y = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.skip(x) + self.norm2(self.conv2(y)))


def resnet() -> nn.Module:
    """Return a model with fresh weights: two stages of three blocks."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(Block(16, 16), Block(16, 16), Block(16, 16)),
        nn.Sequential(Block(16, 32), Block(32, 32), Block(32, 32)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )


run = snstat.trace(resnet, inputs="Bx3x16x16", trials=4)
print(run)

print("\nSecond moments of the outputs of blocks:")
for stage in (1, 2):
    sizes = [run[f"{stage}.{block}"].second_moment.estimate for block in range(3)]
    growth = (sizes[-1] - sizes[0]) / 2
    print(f"  stage {stage}: {', '.join(f'{size:.2f}' for size in sizes)}: {growth:+.2f} a block")
