"""Upper limits: the largest numbers accepted, and work that exceeds the memory of this machine."""

from __future__ import annotations

import math
import os
from pathlib import Path

from snstat.errors import InvalidValueError

MAX_DEPTH = 10**9
MAX_WIDTH = 2**28
MAX_BATCH = 2**28
MAX_TRIALS = 10**7
MAX_THREADS = 4096
MAX_SEED = 2**64 - 1
# Squares of gains and standard deviations must stay finite.
MAX_SCALE = 1e100
# With a larger rate, too few units are left for any average over trials.
MAX_RATE = 0.999
# Numbers in files have 64 bits; seeds use all of them, without a sign.
MAX_INTEGER = 2**64 - 1
MAX_TEXT = 4096
# Bytes of addresses and of data that a process must be allowed. With two cores, numpy, scipy, numba
# and matplotlib load within 800 MB of addresses and 400 MB of data, and with more cores in more.
LEAST_ADDRESSES, LEAST_DATA = 2**30, 2**29


def physical_memory() -> float:
    """Return the bytes of memory of this machine, infinity if unknown."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def free_memory() -> float:
    """Return the bytes that can be taken without swapping, or all of this machine if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        told = dict(line.split(":", 1) for line in lines)
        return min(float(told["MemAvailable"].split()[0]) * 1024.0, physical_memory())
    except (KeyError, ValueError, OSError):
        return physical_memory()


def memory_limits() -> dict[str, float]:
    """Return the bytes of addresses and of data that this process may take, by their option of
    ulimit; infinity without a limit, and nothing on systems without limits."""
    try:
        import resource
    except ImportError:
        return {}
    kinds = {"-v": resource.RLIMIT_AS, "-d": resource.RLIMIT_DATA}
    limits = {option: resource.getrlimit(kind)[0] for option, kind in kinds.items()}
    unlimited = resource.RLIM_INFINITY
    return {key: math.inf if limit == unlimited else limit for key, limit in limits.items()}


def require_room() -> None:
    """Raise InvalidValueError if this process may not take enough memory for numpy, scipy and
    numba.

    Where memory is short while they load, OpenBLAS tries again for ever and LLVM aborts.
    """
    needed = {"-v": LEAST_ADDRESSES, "-d": LEAST_DATA}
    for option, limit in memory_limits().items():
        least = needed[option]
        if limit < least:
            raise InvalidValueError(
                f"memory limit of this process (ulimit {option})",
                f"{limit / 2**20:,.0f} MiB",
                f"at least {least / 2**20:,.0f} MiB, which numpy, scipy and numba need",
                f"set another limit, or none: ulimit {option} unlimited",
            )


# Most decimals of two numbers of bytes that differ.
_DECIMALS = 9


def in_gib(needed: float, free: float) -> tuple[str, str]:
    """Return two numbers of bytes in GiB: with three digits of the larger, or as many as tell the
    two apart, and the smaller from 0."""
    sizes = [value / 2**30 for value in (needed, free)]
    larger, words = max(sizes), ["", ""]
    first = 2 - math.floor(math.log10(larger)) if 0 < larger < math.inf else 0
    for decimals in range(min(max(first, 0), _DECIMALS), _DECIMALS + 1):
        words = [f"{size:,.{decimals}f}" for size in sizes]
        if words[0] != words[1] and (float(f"{min(sizes):.{decimals}f}") or not min(sizes)):
            break
    return f"{words[0]} GiB", f"{words[1]} GiB"


# What is refused where memory does not suffice.
MEMORY = "memory needed"


def require_memory(needed: float, remedy: str) -> None:
    """Raise InvalidValueError if `needed` bytes are more than this machine has."""
    available = physical_memory()
    if needed > available:
        asked, most = in_gib(needed, available)
        bound = f"at most {most}, the memory of this machine"
        raise InvalidValueError(MEMORY, asked, bound, remedy)
