"""Who is told how far data have been read: long files take minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Takes the share of the data that this pass has read.
Listener = Callable[[float], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` what is read in the block, by the main thread alone."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(share: float) -> None:
    """Say that the `share` of the data is about to be read."""
    if _listeners and threading.current_thread() is threading.main_thread():
        _listeners[-1](share)
