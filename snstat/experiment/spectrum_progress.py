"""How much of the trials of a spectrum is done, as several threads tell it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Progress:
    """Adds up the shares of trials that are done, and tells `progress`, if there is one."""

    def __init__(self, progress: Callable[[float], None] | None) -> None:
        self._progress, self._shares, self._lock = progress, dict[int, float](), Lock()

    def of(self, trial: int, before: float, part: float) -> Callable[[float], None]:
        """Return what takes the share that is done of a `part` of a trial, after what was done of
        it `before`."""

        def done(share: float) -> None:
            with self._lock:
                self._shares[trial] = before + part * share
                if self._progress is not None:
                    self._progress(sum(self._shares.values()))

        return done
