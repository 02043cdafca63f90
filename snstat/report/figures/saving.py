"""Writing a figure: the same figure gives the same bytes, on every day and in every process."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from snstat.errors import UnknownNameError
from snstat.report.figures.style import DOTS_PER_INCH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What each format records of its making, emptied of dates and of matplotlib's version.
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"Software": "snstat"},
    "svg": {"Date": None, "Creator": "snstat"},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": "snstat", "Producer": "snstat"},
}


def save_figure(figure: Figure, target: str | Path | IO[bytes], format: str) -> None:  # noqa: A002
    """Write `figure` to `target`, a path or a binary file, as "png", "svg" or "pdf".

    Raises UnknownNameError for another format. Fonts are embedded as outlines of their own in
    PDF (type 42) and drawn as paths in SVG, so that text looks the same everywhere.
    """
    import matplotlib as mpl

    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    parameters: dict[Any, Any] = {
        "svg.hashsalt": "snstat",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
        "pdf.compression": 6,
    }
    with mpl.rc_context(), np.errstate(over="ignore"):  # as in `drawing`
        # Nothing of the user's own configuration may change the bytes.
        mpl.rcdefaults()
        mpl.rcParams.update(parameters)
        figure.savefig(
            target,
            format=format,
            dpi=DOTS_PER_INCH,
            metadata=FORMATS[format],
            facecolor=figure.get_facecolor(),
        )
