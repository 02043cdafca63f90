"""The memory of this machine, and a check that work fits into it."""

from __future__ import annotations

import math
import os

from snstat.errors import InvalidValueError


def physical_memory() -> float:
    """Return the bytes of memory of this machine, infinity if unknown."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def require_memory(needed: float, remedy: str) -> None:
    """Raise InvalidValueError if `needed` bytes are more than this machine has."""
    available = physical_memory()
    if needed > available:
        raise InvalidValueError(
            "memory needed",
            f"{needed / 2**30:,.0f} GiB",
            f"at most {available / 2**30:,.0f} GiB, the memory of this machine",
            remedy,
        )
