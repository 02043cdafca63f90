"""The axis of layers: its scale, and room for whole markers at the edges of panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stacks deeper than this get a logarithmic layer axis.
DEEP = 300
# Room for the marker of the input on a logarithmic axis, in layers.
INPUT_ROOM = 0.25
# How far a marker of 4 points reaches from its middle, in points: half the diagonal of the rotated
# square, 2.8, and the corner of its edge, 0.8.
REACH = 4.0
# The least room at either end, as a share of the axis: matplotlib's own margin.
LEAST_ROOM = 0.045


def set_layers(axes: Axes, layers: int) -> None:
    """Set the scale of an axis of `layers` layers, including the input."""
    if layers > DEEP:
        # Linear from 0 to 1, so that the input has its place on a logarithmic axis.
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_xlim(-INPUT_ROOM, layers - 1)
    else:
        axes.locator_params(axis="x", integer=True)


def make_room(panels: Sequence[Axes], layers: int) -> None:
    """Widen the axis of layers of `panels`, which they share, so that markers at its ends are
    whole, and let markers extend beyond the top and the bottom of a panel, where an axis cannot
    always be widened.

    The size of the panels must be final, because markers do not grow with them.
    """
    from matplotlib.transforms import Bbox, TransformedBbox

    for axes in panels:
        figure = axes.get_figure(root=True)
        assert figure is not None  # noqa: S101  # for the type checker
        reach = REACH / 72.0 * figure.dpi
        across, up = reach / axes.bbox.width, reach / axes.bbox.height
        _widen(axes, layers - 1, max(across, LEAST_ROOM))
        box = TransformedBbox(Bbox([[0.0, -up], [1.0, 1.0 + up]]), axes.transAxes)
        for line in axes.lines:
            if line.get_marker() not in {"", "None"}:
                line.set_clip_box(box)


def _widen(axes: Axes, last: int, share: float) -> None:
    """Leave at least this share of the axis free before layer 0 and after the `last` layer."""
    scale = axes.xaxis.get_transform()
    low, high = scale.transform(axes.get_xlim())
    first, final = scale.transform([0.0, last])
    whole = (max(high, final) - min(low, first)) / (1.0 - 2.0 * min(share, 0.25))
    ends = min(low, first - share * whole), max(high, final + share * whole)
    axes.set_xlim(*scale.inverted().transform(ends))
