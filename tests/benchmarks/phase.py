"""Points of `snstat.phase` per second of one core: `python -m tests.benchmarks.phase [NAME ...]`.

Beside it, the time of `fixed_points` for one of the points.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import snstat
from snstat.activation import ACTIVATIONS

SIDE, REPEATS, SINGLE = 1000, 3, 5


def seconds(call: object) -> float:
    """Return the processor time of one call, which is that of one core."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main(names: list[str]) -> None:
    gains, biases = np.linspace(0.5, 3.0, SIDE), np.linspace(0.0, 1.0, SIDE)
    sys.stdout.write(
        "activation      first call  million points  points a second  fixed_points, one point\n"
    )
    for name in names or list(ACTIVATIONS):

        def every(name: str = name) -> None:
            snstat.phase(name, weight_gain=gains, bias_std=biases)

        first = seconds(every)
        best = min(seconds(every) for _ in range(REPEATS))
        single = seconds(
            lambda name=name: [
                snstat.fixed_points(name, weight_gain=gain, bias_std=0.3)
                for gain in np.linspace(0.9, 1.1, SINGLE).tolist()
            ]
        )
        rate = SIDE * SIDE / best
        each = 1e3 * single / SINGLE
        sys.stdout.write(f"{name:15} {first:8.2f} s {best:13.2f} s {rate:16,.0f} {each:18.1f} ms\n")


if __name__ == "__main__":
    main(sys.argv[1:])
