"""Modules of a few layers, with the code between them as a function."""

from __future__ import annotations

import numpy as np
from torch import nn

import snstat
from snstat.experiment.mapped import whole_network
from snstat.experiment.trace import TracePlan, TraceSettings


def theory_of(target, inputs, **options):
    return snstat.trace(target, inputs, **{"trials": 2, "batch": 4, **options})


def traced(target, inputs, **options):
    """Return the run of a module, and the network that it is."""
    settings = TraceSettings(inputs=inputs, **{"trials": 2, "batch": 4, **options})
    run, mapped = TracePlan(target, settings).traced()
    return run, whole_network(mapped, run.module)


def entries(target, inputs, **options):
    """Return the run of a module, and its layers with the numbers of their inputs."""
    settings = {"trials": 2, "batch": 4, "backward": False, **options}
    run, mapped = TracePlan(target, TraceSettings(inputs=inputs, **settings)).traced()
    assert run.module.theory_ends == ()
    return run, mapped.entries


def assert_halved(narrow, wide, names, z):
    """Assert of two runs, the second one twice as wide, that what statistics differ from theory by
    is of first order in 1/width, within `z` errors of each, and the rounding of float32."""
    for name in names:
        parts = []
        for found in (narrow.statistics[name], wide.statistics[name]):
            there = np.isfinite(found.estimate) & np.isfinite(found.theory)
            assert there.any(), name
            one, other = found.estimate[there], found.theory[there]
            off = np.abs(np.log(one / other) if name == "gradient" else one - other)
            parts.append((off, z * np.nan_to_num(found.stderr[there])))
        (off, error), (half, other) = parts
        assert (half <= (off + error) / 2.0 + other + 2.0**-22).all(), name


class Own(nn.Module):
    """A module with some layers, and a function of them and the input."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.own = forward

    def forward(self, x):
        return self.own(self, x)


def own(forward, **layers):
    """Return what makes such a module, each time with layers made anew."""
    return lambda: Own(forward, **{name: make() for name, make in layers.items()})


def conv(channels=8, out=8, kernel=3, **options):
    return lambda: nn.Conv2d(channels, out, kernel, **options)
