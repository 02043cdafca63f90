"""The engine that is always there: threads of this process, each of which runs one cell at a time.

Kernels release the interpreter's lock, but theory and verdicts do not. Cells that share theory
follow each other, so it is computed once; and threads hand the lock on after a millisecond, because
one that comes back from a kernel would otherwise wait five for it.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from snstat.engine.simulate import one_blas_thread

T = TypeVar("T")
R = TypeVar("R")
# Seconds after which a thread hands on the interpreter's lock, and after which the caller hears
# that nothing has happened.
SWITCH_SECONDS, TICK_SECONDS = 0.001, 0.2


def run_threads(
    tasks: Iterator[T], work: Callable[[T], Iterable[R]], threads: int
) -> Iterator[R | None]:
    """Yield the results that `work` has for each of the `tasks`, in the order in which they end,
    and None now and then.

    Tasks are taken from the iterator one by one. When the generator is closed, no further task
    begins; its threads are daemons, for which an ending program does not wait.
    """
    results: queue.SimpleQueue[R | BaseException | None] = queue.SimpleQueue()
    taking, stop = threading.Lock(), threading.Event()

    def run() -> None:
        try:
            while not stop.is_set():
                with taking:
                    task = next(tasks, None)
                if task is None:
                    break
                for result in work(task):
                    results.put(result)
            results.put(None)
        except BaseException as error:  # noqa: BLE001  # raised again where results are taken
            results.put(error)

    workers = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    with _quick_switches(), one_blas_thread():
        for worker in workers:
            worker.start()
        running = threads
        try:
            while running:
                try:
                    found = results.get(timeout=TICK_SECONDS)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    running -= 1
                else:
                    yield found
        finally:
            stop.set()


@contextlib.contextmanager
def _quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
