"""Long names of layers, abbreviated so that a table has room for numbers."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

# Letters that are left of a word at least, the dots that mark it included.
LEAST = 4
ELLIPSIS = "…"
# Words of a name are joined by dots; the kind of a layer without a name follows a space.
_WORD = re.compile(r"[^. ]+")


def shortened(names: Sequence[str], limit: int) -> tuple[str, ...]:
    """Return names of at most `limit` characters: "encoder.11.feed_forward.norm" becomes
    "encod….11.feed_….norm" for 21, and "enc….11.….norm" for 15.

    The longest words are cut first, those of all names that are too long to one length, which
    leaves LEAST of each; then words are left out before the last. All names are returned as they
    are where two would become one.
    """
    long = [name for name in names if len(name) > limit]
    if not long:
        return tuple(names)
    several = [name for name in long if not _WORD.fullmatch(name)]
    most = max(map(len, _WORD.findall(" ".join(several))), default=LEAST)
    sizes = range(LEAST, most + 1)
    fitting = bisect_right(
        sizes, limit, key=lambda size: max((len(_cut(n, size)) for n in several), default=0)
    )
    size = sizes[max(fitting - 1, 0)] if sizes else LEAST

    def cut(name: str) -> str:
        if len(name) <= limit:
            return name
        return _cut(name, max(limit, LEAST) if _WORD.fullmatch(name) else size)

    short = tuple(map(cut, names))
    candidates = (tuple(_without_middle(name, limit) for name in short), short)
    different = (found for found in candidates if len(set(found)) == len(set(names)))
    return next(different, tuple(names))


def _without_middle(name: str, limit: int) -> str:
    """Return a name without as many words before the last as fits, but with the first."""
    *words, last = name.split(".")
    shorter = [".".join([*words[:n], ELLIPSIS, last]) for n in range(len(words) - 1, 0, -1)]
    fitting = (found for found in (name, *shorter) if len(found) <= limit)
    return next(fitting, min((name, *shorter), key=len))


def _cut(name: str, size: int) -> str:
    """Return a name with words of at most `size` letters."""

    def word(found: re.Match[str]) -> str:
        whole = found[0]
        return whole if len(whole) <= size else whole[: size - 1] + ELLIPSIS

    return _WORD.sub(word, name)
