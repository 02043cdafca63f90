"""Memory for cells that run at once: one waits until there is room for it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from snstat.errors import InvalidValueError
from snstat.limits import MEMORY, free_memory, in_gib

# The share of the free memory that cells may take; estimates are good to about this.
SHARE = 0.9


class Rooms(Protocol):
    """Whoever has memory for cells."""

    def take(self, needed: float) -> AbstractContextManager[None]:
        """Hold `needed` bytes within the block."""


class Room:
    """The memory that was free when this was made."""

    def __init__(self) -> None:
        self.free = SHARE * free_memory()
        self._taken = 0.0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, needed: float) -> Iterator[None]:
        """Hold `needed` bytes within the block, once they are there.

        Raises InvalidValueError for more than there will ever be.
        """
        if needed > self.free:
            asked, most = in_gib(needed, self.free)
            raise InvalidValueError(MEMORY, asked, f"at most {most}, what is free")
        with self._changed:
            self._changed.wait_for(lambda: self._taken + needed <= self.free)
            self._taken += needed
        try:
            yield
        finally:
            with self._changed:
                self._taken -= needed
                self._changed.notify_all()
