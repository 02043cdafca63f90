"""A digest of the values of a data set, which identifies its content."""

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

    `rows(slice)` returns some of the samples, (rows, width). Equal values have equal digests, for
    any dtype and memory order.
    """
    found = hashlib.sha256(f"{samples} {width}\n".encode())
    step = max(1, BLOCK_VALUES // width)
    for first in range(0, samples, step):
        # Adding 0 turns negative zeros into positive ones, which compare equal.
        block = np.add(rows(slice(first, first + step)), 0.0, dtype="<f8", order="C")
        found.update(block.data)
    return f"sha256:{found.hexdigest()}"
