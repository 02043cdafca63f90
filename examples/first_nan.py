"""Which module made the first NaN? Needs PyTorch.

The loss is NaN, and so is all that comes after the culprit. A trace names the module that was given
finite values and returned one that is not. Here it takes the logarithm of negative values.
"""

import torch
from torch import Tensor, nn

import snstat


class LogScale(nn.Module):
    """Takes a logarithm, which negative values do not have."""

    def forward(self, x: Tensor) -> Tensor:
        """Return log x."""
        return torch.log(x)


class OddLogScale(nn.Module):
    """Takes a logarithm that is finite for all values."""

    def forward(self, x: Tensor) -> Tensor:
        """Return sign(x)·log(1 + |x|)."""
        return x.sign() * torch.log1p(x.abs())


def model(scale: type[nn.Module]) -> nn.Module:
    """Return a model with a module of the class `scale` in its encoder."""
    encoder = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), scale())
    return nn.Sequential(encoder, nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))


for scale in (LogScale, OddLogScale):
    run = snstat.trace(model, set={"scale": scale}, inputs="Bx64")
    broken = [row.name for row in run.layers if not row.finite]
    print(f"{scale.__name__}: {len(broken)} of {len(run.layers)} rows are not finite")
    if (first := run.module.nonfinite) is not None:
        given = "finite" if first.inputs_finite else "other"
        print(f"  The first is from {first.path} ({first.kind}), whose inputs were {given}.")
        print(f"  All: {', '.join(broken)}")
