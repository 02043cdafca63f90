"""Which tensors of a file are meant: all, or those whose names match globs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from snstat.errors import InvalidValueError
from snstat.sources.weights.tensor import Tensor


def chosen(tensors: Sequence[Tensor], only: Collection[str]) -> list[Tensor]:
    """Return the tensors whose names match one of the globs `only`, all of them without globs.

    Raises InvalidValueError if there are none.
    """
    if not only:
        return list(tensors)
    found = [tensor for tensor in tensors if any(fnmatchcase(tensor.name, glob) for glob in only)]
    if not found:
        what = ", ".join(only)
        raise InvalidValueError("only", what, "a glob that matches the name of a tensor")
    return found
