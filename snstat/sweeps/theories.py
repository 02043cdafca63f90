"""Theory that cells share: those that differ in their seed only have the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")
# Two results for each network; cells that share theory follow each other.
KEPT = 8


class Shared:
    """Results by key, the last few of them. Threads that ask for one that is being made wait for
    it: to make it twice would take the interpreter from all others."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, _Made] = OrderedDict()

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result for `key`, which `make` returns."""
        with self._lock:
            made = self._made.setdefault(key, _Made())
            self._made.move_to_end(key)
            while len(self._made) > self._kept:
                self._made.popitem(last=False)
        with made.lock:
            if not made.done:
                made.value, made.done = make(), True
        result: T = made.value
        return result


class _Made:
    def __init__(self) -> None:
        self.lock, self.done = threading.RLock(), False
        self.value: Any = None
