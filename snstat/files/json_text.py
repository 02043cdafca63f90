"""JSON from a file that nobody vouches for: small, flat, without repeated keys."""

from __future__ import annotations

import json
from typing import Any

from snstat.files.npy import DamagedError

# A header of 8 MiB names some 80,000 tensors, and Python takes at most 200 MB to read any JSON of
# that size.
MOST_BYTES = 2**23


def object_in(path: str, most: int, what: str, remedy: str) -> dict[str, Any]:
    """Return the JSON object that a file holds. Raises DamagedError as `object_of`, and for more
    than `most` bytes."""
    with open(path, "rb") as file:  # noqa: PTH123  # a name may be bytes that are not text
        text = file.read(most + 1)
    if len(text) > most:
        raise DamagedError(f"is larger than {most >> 20} MiB", remedy)
    return object_of(text, what, remedy)


def object_of(text: bytes, what: str, remedy: str) -> dict[str, Any]:
    """Return the JSON object in `text`. Raises DamagedError, which says what of `what` is wrong."""
    try:
        found = json.loads(text.decode(), object_pairs_hook=_without_repeats)
    except RecursionError:
        raise DamagedError(f"has {what} nested too deeply", remedy) from None
    except ValueError as error:  # of the encoding too
        raise DamagedError(f"has {what} that is no JSON ({error})", remedy) from None
    if not isinstance(found, dict):
        raise DamagedError(f"has {what} that is no JSON object", remedy)
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found
