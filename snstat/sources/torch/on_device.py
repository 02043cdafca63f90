"""The statistics of a tensor that is not on the CPU: the sums of the kernels, by torch, where the
tensor is.

Blocks of at most BLOCK values are widened to float64 one after another, so that memory stays
bounded, and only sums come back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from snstat.engine.tensor import MEASURED_OF_TENSORS, Still
from snstat.sources.calls.measure import Values

# Values that are widened at once, 8 MiB of float64.
BLOCK = 2**20
# As in the kernels: squares beyond these are not precise, and a smaller deviation is rounding.
LEAST, LARGEST = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)
ROUNDING = 8.0 * float(np.finfo(np.float64).eps)
# The axes that blocks are cut along.
Part = tuple[slice, slice, slice]


def measure_on_device(tensor: torch.Tensor, roles: str | None, still: Still) -> tuple[bool, Values]:
    """Return whether all values are finite, and the statistics (see engine.tensor.measure)."""
    found = dict.fromkeys(MEASURED_OF_TENSORS, math.nan)
    x = _arranged(tensor.detach(), roles)
    has = {role: roles is not None and role in roles for role in "SPU"}
    sums = _Sums(x, still)
    told = sums.told()
    if not all(map(math.isfinite, told.values())) and not _all_finite(x):
        return False, np.full(len(found), math.nan)
    size, (samples, positions, units) = float(x.numel()), x.shape
    found |= _pooled(told, size)
    if has["U"]:
        found["variance_over_units"] = told["over units"] / size
        if not math.isnan(still.low) or samples * positions > 1:
            found["dead_fraction"] = told["still"] / units
        if not math.isnan(still.nearly_low):
            found["saturated_fraction"] = told["beyond"] / size
        if told["pairs"] > 0.0:
            found["position_cosine"] = told["aligned"] / told["pairs"]
    counted = told["counted"]
    between = sums.between()
    if positions > 1 and (has["S"] or has["U"]):
        found["variance_over_positions"] = between["over positions"] / size
    if has["S"]:
        found["zero_samples"] = (samples - counted) / samples
        if samples > 1:
            found["variance_over_batch"] = between["over samples"] / size
        if counted > 1 and told["sound"]:
            found["cosine"] = (between["resultant"] - counted) / (counted * (counted - 1.0))
    values = np.array([found[name] for name in MEASURED_OF_TENSORS])
    return True, np.where(np.isfinite(values), values, math.nan)


def square_on_device(tensor: torch.Tensor) -> float:
    """Return the sum of squares of a tensor."""
    x = _arranged(tensor.detach(), None)
    parts = [x[part].double().square().sum() for part in _by_samples(x)]
    return float(torch.stack(parts).sum())


class _Sums:
    """The sums over a tensor of samples, positions and units, none of which has left the device."""

    def __init__(self, x: torch.Tensor, still: Still) -> None:
        samples, _, units = x.shape
        self._x = x
        zeros = torch.zeros((), dtype=torch.float64, device=x.device)
        self._anchor = zeros
        self._sums = dict.fromkeys(
            ("first", "second", "third", "fourth", "squares", "over units", "largest", "beyond"),
            zeros,
        )
        self._norms = torch.zeros(samples, dtype=torch.float64, device=x.device)
        self._positions = torch.zeros_like(self._norms)
        self._any = torch.zeros(samples, dtype=torch.bool, device=x.device)
        self._turned = torch.zeros((samples, units), dtype=torch.float64, device=x.device)
        self._totals = torch.zeros_like(self._turned)
        self._moving = torch.zeros(units, dtype=torch.bool, device=x.device)
        for number, part in enumerate(_by_samples(x)):
            self._add(x[part].double(), part[0], still, first=number == 0)

    def _add(self, block: torch.Tensor, own: slice, still: Still, *, first: bool) -> None:
        """Add a block of some samples `own`."""
        if first:
            start = block[0, 0, 0]
            self._anchor = start + (block - start).mean()  # exact where all values are one
        sums, away, squares = self._sums, block - self._anchor, block.square()
        self._totals[own] += away.sum(1)
        sums["first"] = sums["first"] + away.sum()
        power = away.square()
        for name in ("second", "third", "fourth"):
            sums[name] = sums[name] + power.sum()
            power = power * away
        sums["squares"] = sums["squares"] + squares.sum()
        centred = block - block.mean(2, keepdim=True)
        sums["over units"] = sums["over units"] + centred.square().sum()
        sums["largest"] = torch.maximum(sums["largest"], block.abs().amax())
        rows = squares.sum(2)
        scales = torch.where(rows > 0.0, rows.rsqrt(), 0.0)
        self._norms[own] += rows.sum(1)
        self._positions[own] += (rows > 0.0).sum(1)
        self._any[own] |= (block != 0.0).flatten(1).any(1)
        self._turned[own] += (block * scales[:, :, None]).sum(1)
        if math.isnan(still.low):
            moved = block != self._x[0, 0].double()
        else:
            moved = (block > still.low) & (block < still.high)
        self._moving |= moved.flatten(0, 1).any(0)
        beyond = (block <= still.nearly_low) | (block >= still.nearly_high)
        sums["beyond"] = sums["beyond"] + beyond.sum()

    def told(self) -> dict[str, float]:
        """Return the sums that need one pass, as numbers."""
        counted, aligned = self._positions, self._turned.square().sum(1)
        several = counted > 1.0
        norms = self._norms[self._any]
        found = self._sums | {
            "anchor": self._anchor,
            "still": (~self._moving).sum(),
            "counted": self._any.sum(),
            "sound": ((norms >= LEAST) & (norms <= LARGEST)).all(),
            "aligned": torch.where(several, aligned - counted, 0.0).sum(),
            "pairs": torch.where(several, counted * (counted - 1.0), 0.0).sum(),
        }
        return dict(
            zip(found, torch.stack([v.double() for v in found.values()]).tolist(), strict=True)
        )

    def between(self) -> dict[str, float]:
        """Return the sums about means over samples and over positions."""
        means = self._anchor + self._totals / self._x.shape[1]
        scales = torch.where(self._norms > 0.0, self._norms.rsqrt(), 0.0)[:, None, None]
        found: list[torch.Tensor] = []
        for part in _by_positions(self._x):
            block = self._x[part].double()
            apart = block - block.mean(0)
            along = block - means[:, None, part[2]]
            turned = (block * scales).sum(0)
            found.append(torch.stack([(v * v).sum() for v in (apart, along, turned)]))
        totals = torch.stack(found).sum(0).tolist()
        return dict(zip(("over samples", "over positions", "resultant"), totals, strict=True))


def _arranged(tensor: torch.Tensor, roles: str | None) -> torch.Tensor:
    """Return a tensor as samples, positions and units; without roles all values are positions."""
    if roles is None:
        return tensor.reshape(1, -1, 1)
    order = sorted(range(tensor.ndim), key=lambda axis: "SPU".index(roles[axis]))
    sizes = [
        math.prod(n for n, r in zip(tensor.shape, roles, strict=True) if r == s) for s in "SPU"
    ]
    return tensor.permute(order).reshape(sizes)


def _by_samples(x: torch.Tensor) -> Iterator[Part]:
    """Yield blocks of whole samples, or of whole positions of one sample."""
    samples, positions, units = x.shape
    each = max(1, BLOCK // (positions * units))
    along = max(1, min(positions, BLOCK // units))
    for a in range(0, samples, each):
        for p in range(0, positions, along):
            yield slice(a, a + each), slice(p, p + along), slice(None)


def _by_positions(x: torch.Tensor) -> Iterator[Part]:
    """Yield blocks that hold all samples of some positions, or of some units of one."""
    samples, positions, units = x.shape
    along = max(1, BLOCK // (samples * units))
    width = max(1, min(units, BLOCK // samples))
    for p in range(0, positions, along):
        for u in range(0, units, width):
            yield slice(None), slice(p, p + along), slice(u, u + width)


def _all_finite(x: torch.Tensor) -> bool:
    return all(bool(torch.isfinite(x[part]).all()) for part in _by_samples(x))


def _pooled(told: dict[str, float], size: float) -> dict[str, float]:
    """Return the statistics of all values together, from powers about the anchor."""
    first, second, third, fourth = (
        told[name] / size for name in ("first", "second", "third", "fourth")
    )
    mean = told["anchor"] + first
    variance = max(second - first * first, 0.0)
    if math.sqrt(variance) <= ROUNDING * abs(mean):
        variance = 0.0
    found: dict[str, Any] = {
        "mean": mean,
        "variance": variance,
        "second_moment": told["squares"] / size,
        "largest": told["largest"],
    }
    square = first * first  # powers of floats raise where products are infinite
    central = fourth - 4.0 * first * third + 6.0 * square * second - 3.0 * square * square
    if variance > 0.0 and LEAST <= central <= LARGEST:
        found["kurtosis"] = central / variance / variance
    return found
