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
    """Return names of at most `limit` characters, as far as that leaves LEAST of each word:
    "encoder.11.feed_forward.norm" becomes "encod….11.feed_….norm" for 21.

    The longest words are cut first, all to one length. Names that fit are returned as they are, and
    so are all where two would become one.
    """
    if max(map(len, names), default=0) <= limit:
        return tuple(names)
    most = max(len(word) for name in names for word in _WORD.findall(name))
    sizes = range(LEAST, most + 1)
    fitting = bisect_right(sizes, limit, key=lambda size: max(map(len, _cut(names, size))))
    short = _cut(names, sizes[max(fitting - 1, 0)]) if sizes else tuple(names)
    return short if len(set(short)) == len(set(names)) else tuple(names)


def _cut(names: Sequence[str], size: int) -> tuple[str, ...]:
    def word(found: re.Match[str]) -> str:
        whole = found[0]
        return whole if len(whole) <= size else whole[: size - 1] + ELLIPSIS

    return tuple(_WORD.sub(word, name) for name in names)
