"""Modules of a few layers, with the code between them as a function."""

from __future__ import annotations

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
