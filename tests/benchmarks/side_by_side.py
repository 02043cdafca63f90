"""Time programs in turn, so that all meet the same disturbances of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Clock = Callable[[], float]

# Idle threads of OpenBLAS and OpenMP spin for some 25 ms before they sleep, and would take a core
# from the next program.
PAUSE_SECONDS = 0.1
# Rounds of `alternating`.
ROUNDS = 5


def measure(
    benchmark, ours: Callable[[], object], others: Mapping[str, Callable[[], float]], rounds: int
) -> None:
    """Time `ours`, already warm, with pytest-benchmark, and every other program before each round.

    `others` return seconds, which are kept in the benchmark's `extra_info["seconds"]`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in others}

    def take_turns() -> None:
        for name, other in others.items():
            time.sleep(PAUSE_SECONDS)
            seconds[name].append(other())
        time.sleep(PAUSE_SECONDS)

    benchmark.extra_info["seconds"] = seconds
    benchmark.pedantic(ours, setup=take_turns, rounds=rounds)


def timed(
    program: Callable[[], object], share: float = 1.0, clock: Clock = time.perf_counter
) -> Callable[[], float]:
    """Return a function that times `program`, which does this share of the work, and scales to all
    of it."""

    def run() -> float:
        start = clock()
        program()
        return (clock() - start) / share

    return run


def alternating(
    *programs: Callable[[], object], clock: Clock = time.perf_counter
) -> list[list[float]]:
    """Return the seconds of each program in each round, (programs, rounds); all run once before."""
    for program in programs:
        program()
    found: list[list[float]] = [[] for _ in programs]
    for _ in range(ROUNDS):
        for program, times in zip(programs, found, strict=True):
            time.sleep(PAUSE_SECONDS)
            times.append(timed(program, clock=clock)())
    return found
