"""How a run shows itself to a person: as text, as HTML, as a data frame, as a picture.

`results` knows no other room. The package names the module that shows runs as
`snstat.RUN_VIEWS`, and it is imported when a run is first shown.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from snstat.results.run import Run


class Views(Protocol):
    """What a module that shows runs offers."""

    def run_text(self, run: Run) -> str:
        """Return the table of `snstat propagate`."""
        ...

    def run_html(self, run: Run) -> str:
        """Return the table as HTML."""
        ...

    def run_frame(self, run: Run) -> Any:
        """Return the run as a pandas DataFrame."""
        ...

    def run_plot(self, run: Run, kind: str, ax: Any) -> Any:
        """Draw the run and return matplotlib axes."""
        ...


def views() -> Views:
    """Return the module that shows runs."""
    package = sys.modules[__name__.partition(".")[0]]
    return cast("Views", import_module(package.RUN_VIEWS))
