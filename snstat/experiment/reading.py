"""Reports how far data have been read, because long files take minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with the share of the data that this pass has read.
Listener = Callable[[float], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Report to `listener` what the main thread reads in the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(share: float) -> None:
    """Report that the `share` of the data is about to be read."""
    if _listeners and threading.current_thread() is threading.main_thread():
        _listeners[-1](share)
