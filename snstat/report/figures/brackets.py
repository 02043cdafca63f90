"""Containers of a network as brackets under the axis of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from snstat.report.figures.style import Style
    from snstat.results import NetworkSummary

# Points below the axis: of the bracket and of its label; the label of the axis comes after them.
BELOW, LABEL, AXIS = 20.0, 3.0, 22.0
# More brackets than these have no room.
MOST_BRACKETS = 12
# What marks the labels of brackets, and the pixels that two of them are apart at least.
LABELS, APART = "bracket", 2.0
# Layers that a bracket extends to either side, and the points of its ends.
HALF, END = 0.4, 3.0


class Bracket(NamedTuple):
    """Layers `first` to `last`, and what they are called."""

    label: str
    first: int
    last: int


def brackets_of(network: NetworkSummary, layers: int) -> list[Bracket]:
    """Return the first `layers` layers by parts of the network, "body ×12" for repetitions, in
    order; none where there are more than fit. An interrupted run has not all layers."""
    found = list(_outermost(network, layers))
    return found if len(found) <= MOST_BRACKETS else []


def _outermost(network: NetworkSummary, layers: int) -> Iterator[Bracket]:
    """Yield the containers and layers that the network's file lists, repetitions once."""
    if "times" in network.form:  # the whole of it is repeated
        return
    listed = {own.get("name", str(place)): own for place, own in enumerate(network.form["layers"])}
    names = (row.name.partition(".")[0] for row in network.layers[1 : layers + 1])
    for label, group in groupby(enumerate(names, 1), key=lambda entry: entry[1]):
        numbers = [number for number, _ in group]
        own = listed[label]
        name = own.get("name", own["kind"])
        times = f" ×{own['times']:,}" if own.get("times", 1) > 1 else ""
        yield Bracket(f"{name}{times}", numbers[0], numbers[-1])


def draw_brackets(axes: Axes, brackets: Sequence[Bracket], look: Style) -> None:
    """Draw brackets below the ticks of the x axis, and move its label below them."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = axes.figure
    under = blended_transform_factory(axes.transData, axes.transAxes) + ScaledTranslation(
        0.0, -BELOW / 72.0, figure.dpi_scale_trans
    )
    tips = under + ScaledTranslation(0.0, END / 72.0, figure.dpi_scale_trans)
    for label, first, last in brackets:
        low, high = first - HALF, last + HALF
        axes.plot(
            [low, high], [0.0, 0.0], transform=under, color=look.ink, linewidth=0.8, clip_on=False
        )
        for end in (low, high):
            axes.annotate(
                "", (end, 0.0), xycoords=under, xytext=(end, 0.0), textcoords=tips,
                arrowprops={"arrowstyle": "-", "color": look.ink, "linewidth": 0.8, "shrinkA": 0,
                            "shrinkB": 0},
                annotation_clip=False,
            )  # fmt: skip
        axes.annotate(
            label, ((low + high) / 2.0, 0.0), xycoords=under, xytext=(0.0, -LABEL),
            textcoords="offset points", ha="center", va="top", fontsize=8, color=look.ink,
            annotation_clip=False, label=f"{LABELS} {last - first}",
        )  # fmt: skip
    if brackets:
        axes.xaxis.labelpad = AXIS


def thin_labels(axes: Axes) -> None:
    """Hide labels of brackets that would overlap, once the figure is laid out. Those of more layers
    stay."""
    labels = [text for text in axes.texts if str(text.get_label()).startswith(LABELS)]
    labels.sort(key=lambda text: -int(str(text.get_label()).split()[-1]))
    taken: list[tuple[float, float]] = []
    for text in labels:
        box = text.get_window_extent()
        low, high = box.x0 - APART, box.x1 + APART
        if any(low < end and start < high for start, end in taken):
            text.set_visible(False)
        else:
            taken.append((low, high))
