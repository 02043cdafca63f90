"""Numbers in words, with as many digits as a sentence about them needs."""

from __future__ import annotations

# As many as floats have.
MOST = 17


def told_apart(one: float, other: float, digits: int) -> tuple[str, str]:
    """Return two numbers with so many significant digits, or with as many as tell them apart."""
    words = f"{one:.{digits}g}", f"{other:.{digits}g}"
    if words[0] != words[1] or one == other or digits >= MOST:
        return words
    return told_apart(one, other, digits + 1)
