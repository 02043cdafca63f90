"""Loading matplotlib, whose settings in the environment may be anything."""

from __future__ import annotations

import logging
import os

from snstat.errors import InvalidValueError

BACKEND = "MPLBACKEND"


def load_matplotlib() -> None:
    """Import matplotlib; raise InvalidValueError for a backend in the environment that is none.

    What matplotlib has to say of folders for its cache is left out: nothing depends on it.
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
            "the name of a backend of matplotlib",
            f"unset {BACKEND}",
        ) from None
