"""Work in a background thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def aside(work: Callable[[], T]) -> Future[T]:
    """Start `work` in a thread; return what its result is asked of, which raises its error.

    The thread is a daemon: an interrupted program does not wait for it.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # raised again when the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
