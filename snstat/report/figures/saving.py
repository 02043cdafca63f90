"""Writing of figures: the same figure always gives the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from snstat.errors import UnknownNameError
from snstat.report.figures.style import DOTS_PER_INCH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The metadata of each format, without dates and matplotlib's version.
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"Software": "snstat"},
    "svg": {"Date": None, "Creator": "snstat"},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": "snstat", "Producer": "snstat"},
}
# The metadata key of a description in each format.
DESCRIPTIONS = {"png": "Description", "svg": "Description", "pdf": "Subject"}


def save_figure(
    figure: Figure,
    target: str | Path | IO[bytes],
    format: str,  # noqa: A002
    *,
    dpi: float = DOTS_PER_INCH,
    description: str = "",
) -> None:
    """Write `figure` to `target`, a path or a binary file, as "png", "svg" or "pdf".

    `dpi` is the resolution of a PNG, dots per inch. `description`, such as the command that made
    the figure, goes into the file's metadata. Fonts are embedded in PDF (type 42); in SVG text
    stays text. Raises UnknownNameError for another format.
    """
    import matplotlib as mpl

    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    parameters: dict[Any, Any] = {
        "svg.hashsalt": "snstat",
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "pdf.compression": 6,
    }
    metadata = dict(FORMATS[format])
    if description:
        metadata[DESCRIPTIONS[format]] = description
    with mpl.rc_context(), np.errstate(over="ignore"):  # as in `drawing`
        # The user's configuration must not change the bytes.
        mpl.rcdefaults()
        mpl.rcParams.update(parameters)
        figure.savefig(
            target,
            format=format,
            dpi=dpi,
            metadata=metadata,
            facecolor=figure.get_facecolor(),
        )
