"""Trajectories as one interactive HTML page, drawn by bokeh in the browser.

Bokeh was chosen over plotly because a page with its library is 1.3 MB instead of 4.8 MB, and its
wheel 6.4 MB instead of 9.7 MB. It is imported when a page is drawn.
"""

from __future__ import annotations

from snstat.report.interactive.drawing import draw_interactive
from snstat.report.interactive.loading import load_bokeh

__all__ = ["draw_interactive", "load_bokeh"]
