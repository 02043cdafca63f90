"""Figures of results, ready for a paper. Matplotlib is imported when a figure is drawn.

`draw_*` functions take records and return a `matplotlib.figure.Figure`. `save_figure` writes one;
equal figures give equal bytes.
"""

from __future__ import annotations

from snstat.report.figures.correlation import draw_correlation
from snstat.report.figures.depth_scale import draw_depth_scales
from snstat.report.figures.difference import draw_difference
from snstat.report.figures.gradient import draw_gradient
from snstat.report.figures.heatmap import draw_heatmap
from snstat.report.figures.histogram import draw_histogram
from snstat.report.figures.loading import load_matplotlib
from snstat.report.figures.map_field import draw_map
from snstat.report.figures.phase import draw_phase
from snstat.report.figures.positions import draw_positions
from snstat.report.figures.residual import draw_residual
from snstat.report.figures.saving import FORMATS, save_figure
from snstat.report.figures.spectrum import draw_spectrum
from snstat.report.figures.style import STYLES
from snstat.report.figures.sweep import draw_sweep
from snstat.report.figures.sweep_points import Choice
from snstat.report.figures.trajectory import Options, draw_trajectory

__all__ = [
    "FORMATS",
    "STYLES",
    "Choice",
    "Options",
    "draw_correlation",
    "draw_depth_scales",
    "draw_difference",
    "draw_gradient",
    "draw_heatmap",
    "draw_histogram",
    "draw_map",
    "draw_phase",
    "draw_positions",
    "draw_residual",
    "draw_spectrum",
    "draw_sweep",
    "draw_trajectory",
    "load_matplotlib",
    "save_figure",
]
