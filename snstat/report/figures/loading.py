"""Loading of matplotlib, whose settings in the environment may be invalid."""

from __future__ import annotations

import logging
import os

from snstat.errors import InvalidValueError

BACKEND = "MPLBACKEND"


def load_matplotlib() -> None:
    """Import matplotlib. Raise InvalidValueError for an unknown backend in the environment.

    Matplotlib's warnings about its cache folders are suppressed: nothing depends on the cache.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib as mpl  # noqa: F401
    except ValueError:
        if BACKEND not in os.environ:
            raise
        raise InvalidValueError(
            f"{BACKEND} in the environment",
            os.environ[BACKEND],
            "the name of a matplotlib backend",
            f"unset {BACKEND}",
        ) from None
