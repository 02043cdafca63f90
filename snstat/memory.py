"""How much memory there is, and what asks for more of it than that."""

from __future__ import annotations

import math
import os

from snstat.errors import InvalidValueError


def physical_memory() -> float:
    """Return the bytes of memory of this machine, infinity where it does not tell."""
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
            f"at most {available / 2**30:,.0f} GiB, what this machine has",
            remedy,
        )
