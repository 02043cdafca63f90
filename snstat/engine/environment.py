"""Imports numba, and reports settings in the environment that it cannot use."""

from __future__ import annotations

import os
import re
import warnings

from snstat.errors import InvalidValueError
from snstat.limits import require_room

THREADS = "NUMBA_NUM_THREADS"
# The warning of numba, with a traceback, about a setting it cannot parse.
_UNPARSED = re.compile(
    r"Environment variable '(\w+)' is defined but its associated value '(.*?)' co"
)


def load_numba() -> bool:
    """Import numba and return whether it compiles (not under NUMBA_DISABLE_JIT).

    Raises InvalidValueError for a setting in the environment that it cannot use, and for a limit of
    memory within which it does not load.
    """
    require_room()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            import numba
        except ValueError:
            if THREADS not in os.environ:
                raise
            raise _unusable(THREADS, os.environ[THREADS]) from None
    for warning in told:
        found = _UNPARSED.match(str(warning.message))
        if found is not None:
            raise _unusable(found[1], found[2])
    return not numba.config.DISABLE_JIT  # type: ignore[attr-defined]  # set by numba itself


def _unusable(name: str, value: str) -> InvalidValueError:
    bound = "a whole number of at least 1" if name == THREADS else "a value that numba can read"
    return InvalidValueError(f"{name} in the environment", value, bound, f"unset {name}")
