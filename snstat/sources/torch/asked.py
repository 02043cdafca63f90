"""The options of a trace of a module of PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from snstat.sources.calls.axes import require_matches


@dataclass(frozen=True)
class Asked:
    """The options of a trace."""

    batch: int
    seed: int
    dtype: str | None
    mode: str
    dropout: str
    backward: bool
    output: str | None
    only: tuple[str, ...]
    leaves: bool
    device: str | None
    ops: bool

    def require_matches(self, axes: Iterable[str], paths: Iterable[str]) -> None:
        """Raise InvalidValueError for a glob of `only` or `axes` that matches none of the paths."""
        known = list(paths)
        words = "a module or a function" if self.ops else "a module"
        require_matches(self.only, known, "only", words)
        require_matches(axes, known, "axes", words)
