"""The digest of a file's content, which tells its versions apart."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache


def digest_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, "" of one that cannot be read. A file that has not
    changed is read once."""
    try:
        return _digest(os.fspath(path), os.stat(path).st_mtime_ns)  # noqa: PTH116
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _digest(path: str, _changed: int) -> str:
    with open(path, "rb") as file:  # noqa: PTH123  # as others open data
        return hashlib.file_digest(file, "sha256").hexdigest()
