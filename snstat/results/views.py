"""How a run shows itself to a person: as text, as HTML, as a data frame, as a picture.

`results` knows no other room. The package names the module that shows runs as
`snstat.RUN_VIEWS`, and it is imported when a run is first shown.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Protocol, cast


class Views(Protocol):
    """What a module that shows runs offers; `run` is a `Run`."""

    def run_text(self, run: Any) -> str:
        """Return the table of `snstat propagate`."""
        ...

    def run_html(self, run: Any) -> str:
        """Return the table as HTML."""
        ...

    def run_frame(self, run: Any) -> Any:
        """Return the run as a pandas DataFrame."""
        ...

    def sweep_frame(self, sweep: Any) -> Any:
        """Return a `Sweep` as a pandas DataFrame."""
        ...

    def run_plot(self, run: Any, kind: str, ax: Any) -> Any:
        """Draw the run and return matplotlib axes."""
        ...


def views() -> Views:
    """Return the module that shows runs."""
    package = sys.modules[__name__.partition(".")[0]]
    return cast("Views", import_module(package.RUN_VIEWS))
