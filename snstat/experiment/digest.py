"""What tells one data set from another: a digest of its values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# Data are read in blocks of rows of about this many values (32 MiB as float64).
BLOCK_VALUES = 2**22


def digest_of(rows: Callable[[Any], npt.NDArray[np.float64]], samples: int, width: int) -> str:
    """Return the SHA-256 of shape and values, as "sha256:…".

    `rows(slice)` returns some of the samples, (rows, width). Equal values have equal digests,
    whatever their type and order in memory.
    """
    found = hashlib.sha256(f"{samples} {width}\n".encode())
    step = max(1, BLOCK_VALUES // width)
    for first in range(0, samples, step):
        # Added to 0, a negative zero becomes a positive one, which equals it.
        block = np.add(rows(slice(first, first + step)), 0.0, dtype="<f8", order="C")
        found.update(block.data)
    return f"sha256:{found.hexdigest()}"
