"""Which tensors of a file are meant: all, or those whose names match globs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from fnmatch import translate

from snstat.errors import InvalidValueError
from snstat.sources.weights.tensor import Tensor


def chosen(tensors: Sequence[Tensor], only: Collection[str]) -> list[Tensor]:
    """Return the tensors whose names match one of the globs `only`, all of them without globs.

    Raises InvalidValueError if there are none.
    """
    if not only:
        return list(tensors)
    rank = _rank(only)
    found = [tensor for tensor in tensors if rank(tensor) < len(only)]
    if not found:
        what = ", ".join(only)
        raise InvalidValueError("only", what, "a glob that matches the name of a tensor")
    return found


def by_globs(tensors: Sequence[Tensor], only: Collection[str]) -> list[Tensor]:
    """Return tensors in the order of the first of the globs `only` that their names match."""
    return sorted(tensors, key=_rank(only))


def _rank(only: Collection[str]) -> Callable[[Tensor], int]:
    """Return what gives the place of the first glob that a name matches, their number for none."""
    # Compiled here, as fnmatch keeps few patterns.
    patterns = [re.compile(translate(glob)) for glob in only]

    def rank(tensor: Tensor) -> int:
        return next((n for n, own in enumerate(patterns) if own.match(tensor.name)), len(patterns))

    return rank
