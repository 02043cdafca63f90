"""Ticks on axes that span many decades: few enough that their labels never overlap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The most ticks on a colour bar; an axis has about as many besides its 0.
MOST = 5


def signed_ticks(low: float, high: float) -> list[float]:
    """Return 0 and powers of ten within [low, high], for an axis that is linear up to 1."""
    up, down = math.log10(max(high, 1.0)), math.log10(max(-low, 1.0))
    decades = math.floor(max(up, down))
    step = max(math.ceil((up + down) / MOST), 1)
    # The labels of 0 and 1 would overlap if a step is several decades.
    powers = [float(10.0**power) for power in range(0 if step == 1 else step, decades + 1, step)]
    above = [power for power in powers if power <= high]
    below = [-power for power in reversed(powers) if -power >= low]
    return [*below, 0.0, *above]


def set_signed_ticks(axes: Axes) -> None:
    """Set the ticks of the symmetric logarithmic y axis of `axes`."""
    ticks = signed_ticks(*axes.get_ylim())
    axes.set_yticks(ticks, [_signed_label(tick) for tick in ticks])
    axes.set_yticks([], minor=True)


def set_end_ticks(axes: Axes) -> None:
    """Set ticks at 0 and at a round number near both ends of the y axis of `axes`, which is low and
    symmetric about 0."""
    end = 0.95 * axes.get_ylim()[1]
    power = 10.0 ** math.floor(math.log10(end))
    if axes.get_yscale() == "linear":
        last = max(digit * power for digit in (1, 2, 3, 5) if digit * power <= end)
        axes.set_yticks([-last, 0.0, last])
    else:
        axes.set_yticks(
            [-power, 0.0, power], [_signed_label(tick) for tick in (-power, 0.0, power)]
        )
        axes.set_yticks([], minor=True)
    axes.tick_params(axis="y", labelsize=7)


def power_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten within [low, high] of a logarithmic axis, multiples of one step."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(math.ceil((last - first) / MOST), 1)
    return [10.0**power for power in range(-(-first // step) * step, last + 1, step)]


def set_power_ticks(axes: Axes) -> None:
    """Set the ticks of the logarithmic y axis of `axes`. Matplotlib would compute one tick beyond
    either end, which may overflow."""
    ticks = power_ticks(*axes.get_ylim())
    axes.set_yticks(ticks, [_signed_label(tick) for tick in ticks])
    axes.set_yticks([], minor=True)


def shade_ticks(low: float, high: float) -> list[float]:
    """Return at most `MOST` round numbers between 10**low and 10**high."""
    first, last = math.floor(low), math.ceil(high)
    fine = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    coarse = [
        [10.0**power for power in range(first, last + 1) if power % step == 0]
        for step in range(1, last - first + 2)
    ]
    for choice in (fine, *coarse):
        ticks = [tick for tick in choice if low <= math.log10(tick) <= high]
        if len(ticks) <= MOST:
            return ticks
    return []


def _signed_label(tick: float) -> str:
    """Return 0, or a power of ten as mathematics."""
    if tick == 0:
        return "0"
    return f"${'-' if tick < 0 else ''}10^{{{round(math.log10(abs(tick)))}}}$"
