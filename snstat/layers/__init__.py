"""The kinds of layers, one a file: their shapes, their theory and how their weights are drawn.

Networks are written in Python with them:

    from snstat import Network, layers as L

    block = L.residual(L.LayerNorm(), L.Dense(2048, "gelu"), L.Dense(512))
    network = Network(512, L.chain(L.repeat(12, block), L.Dense(10)))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snstat.layers.build import chain, named, repeat, residual

BUILDERS = ("chain", "named", "repeat", "residual")
__all__ = ["chain", "named", "repeat", "residual"]  # and the kinds of registry.KINDS


def __getattr__(name: str) -> Any:
    """Import a builder or a kind when it is first used (PEP 562)."""
    if name in BUILDERS:
        return getattr(import_module("snstat.layers.build"), name)
    from snstat.layers.registry import KINDS, kind

    for known, own in KINDS.items():
        if own == name:
            return kind(known)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from snstat.layers.registry import KINDS

    return sorted([*BUILDERS, *KINDS.values()])
