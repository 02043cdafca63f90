"""Refuse to measure with a BLAS that runs slower code than the processor supports.

OPENBLAS_CORETYPE selects the code that OpenBLAS runs, and OPENBLAS_L2_SIZE the cache size that it
assumes. Either may slow matrix products several-fold, and by different factors for snstat and its
peers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
# Architectures whose OpenBLAS code does not use AVX2.
OLD = frozenset(
    name.lower()
    for name in (
        "Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Core2", "Penryn", "Dunnington",
        "Nehalem", "Westmere", "Sandybridge", "Athlon", "Opteron", "Opteron_SSE3", "Barcelona",
        "Bobcat", "Bulldozer", "Piledriver", "Steamroller", "Atom", "Nano",
    )
)  # fmt: skip


def complaint(
    environment: Mapping[str, str], libraries: Iterable[Mapping[str, object]], flags: str
) -> str:
    """Return why times measured here would be wrong, or an empty string.

    `libraries` come from threadpoolctl; `flags` are the processor's, as Linux lists them.
    """
    given = [f"{name}={environment[name]}" for name in VARIABLES if name in environment]
    if given:
        unset = " ".join(f"-u {name}" for name in VARIABLES)
        return f"{', '.join(given)} may slow BLAS several-fold; run: env {unset} make bench"
    for library in libraries:
        name = str(library.get("architecture") or "")
        if "avx2" in flags.split() and name.lower() in OLD:
            where = library.get("filepath")
            return f"OpenBLAS runs code for {name} though the processor has AVX2: {where}"
    return ""


def here() -> str:
    """Return what is wrong with the BLAS of this process, or an empty string."""
    import numpy as np
    from scipy.linalg import blas  # noqa: F401  # numpy and scipy each bring a BLAS
    from threadpoolctl import threadpool_info

    np.dot(np.ones((2, 2)), np.ones((2, 2)))
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith("flags")), "")
    return complaint(os.environ, threadpool_info(), flags)


if __name__ == "__main__":
    wrong = here()
    if wrong:
        sys.exit(f"make bench: {wrong}")
