"""A digest of the arrays that a module is called with, which tells other data of the same name."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.files.digest import digest_of
from snstat.sources.calls.inputs import Given, Source

FloatArray = npt.NDArray[np.float64]


def content_of(
    sources: Mapping[str, Source], as_numpy: Callable[[Any], Any] = np.asarray
) -> str | None:
    """Return the digest of the arrays among the inputs, by the names of arguments; that of a single
    one is as a data file has it. None if there are none, or values that are no numbers.

    `as_numpy` returns some samples as an array of numpy.
    """
    given = {name: source for name, source in sources.items() if isinstance(source, Given)}
    try:
        digests = {name: _digest(source, as_numpy) for name, source in given.items()}
    except (TypeError, ValueError):  # text has no value as a number
        return None
    if len(digests) < 2:
        return next(iter(digests.values()), None)
    words = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return f"sha256:{hashlib.sha256(words.encode()).hexdigest()}"


def _digest(source: Given, as_numpy: Callable[[Any], Any]) -> str:
    def rows(chosen: slice) -> FloatArray:
        part = np.asarray(as_numpy(source.values[chosen]))
        if part.dtype.kind == "c":
            part = np.stack([part.real, part.imag], axis=-1)
        return part.reshape(len(part), -1).astype(np.float64) if part.size else np.empty((0, 0))

    width = math.prod(source.values.shape[1:])
    return digest_of(rows, source.samples, max(1, width))
