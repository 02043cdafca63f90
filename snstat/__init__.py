"""Activation statistics of deep networks: theory beside simulation, layer by layer.

Importing this package is cheap: numpy, numba, scipy and matplotlib are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snstat.activation import ACTIVATIONS as activations
    from snstat.checks.check import check
    from snstat.experiment.propagate import propagate
    from snstat.experiment.spectrum import spectrum
    from snstat.experiment.trace import trace
    from snstat.experiment.tracing import Tracing as tracing
    from snstat.files.saved import load, load_all, save
    from snstat.network.network import Network
    from snstat.network.stack import Stack
    from snstat.sources.weights.read import weights
    from snstat.sweeps.reading import load_sweep
    from snstat.sweeps.running import run_cell
    from snstat.sweeps.sweep import sweep, sweep_cells
    from snstat.theory.fixed_points import fixed_points
    from snstat.theory.maps import correlation_map, ensemble_map, gradient_growth, unit_map
    from snstat.theory.phase import phase
    from snstat.theory.solve import solve_selu

__version__ = "0.2.0"

# Public name → (module, name there).
_PUBLIC = {
    "Network": ("snstat.network.network", "Network"),
    "Stack": ("snstat.network.stack", "Stack"),
    "activations": ("snstat.activation", "ACTIVATIONS"),
    "check": ("snstat.checks.check", "check"),
    "correlation_map": ("snstat.theory.maps", "correlation_map"),
    "ensemble_map": ("snstat.theory.maps", "ensemble_map"),
    "fixed_points": ("snstat.theory.fixed_points", "fixed_points"),
    "gradient_growth": ("snstat.theory.maps", "gradient_growth"),
    "load": ("snstat.files.saved", "load"),
    "load_all": ("snstat.files.saved", "load_all"),
    "load_sweep": ("snstat.sweeps.reading", "load_sweep"),
    "phase": ("snstat.theory.phase", "phase"),
    "propagate": ("snstat.experiment.propagate", "propagate"),
    "run_cell": ("snstat.sweeps.running", "run_cell"),
    "save": ("snstat.files.saved", "save"),
    "solve_selu": ("snstat.theory.solve", "solve_selu"),
    "spectrum": ("snstat.experiment.spectrum", "spectrum"),
    "sweep": ("snstat.sweeps.sweep", "sweep"),
    "sweep_cells": ("snstat.sweeps.sweep", "sweep_cells"),
    "trace": ("snstat.experiment.trace", "trace"),
    "tracing": ("snstat.experiment.tracing", "Tracing"),
    "unit_map": ("snstat.theory.maps", "unit_map"),
    "weights": ("snstat.sources.weights.read", "weights"),
}

# The module that shows a run: see snstat.results.views.
RUN_VIEWS = "snstat.display"

# Modules that need no import of their own.
_MODULES = ("plot", "testing")

__all__ = [
    "Network",
    "Stack",
    "__version__",
    "activations",
    "check",
    "correlation_map",
    "ensemble_map",
    "fixed_points",
    "gradient_growth",
    "load",
    "load_all",
    "load_sweep",
    "phase",
    "propagate",
    "run_cell",
    "save",
    "solve_selu",
    "spectrum",
    "sweep",
    "sweep_cells",
    "trace",
    "tracing",
    "unit_map",
    "weights",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name in _MODULES:
        return import_module(f"snstat.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'snstat' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
