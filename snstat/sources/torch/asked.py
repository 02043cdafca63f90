"""The options of a trace of a module of PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn  # noqa: TC002  # at run time too, as in the files beside

from snstat.sources.calls.axes import require_matches
from snstat.sources.torch.functions import Functions
from snstat.sources.torch.hooks import Seen
from snstat.sources.torch.modules import wanted


@dataclass(frozen=True)
class Asked:
    """The options of a trace."""

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

    def functions(self, modules: Mapping[str, nn.Module], seen: Seen) -> Functions | None:
        """Return what sees the functions that have rows, None if none have."""
        return Functions(modules, seen, partial(wanted, only=self.only)) if self.ops else None

    def require_matches(self, axes: Iterable[str], paths: Iterable[str]) -> None:
        """Raise InvalidValueError for a glob of `only` or `axes` that matches none of the paths."""
        known = list(paths)
        words = "a module or a function" if self.ops else "a module"
        require_matches(self.only, known, "only", words)
        require_matches(axes, known, "axes", words)
