"""Names of phases and numbers of contours, clear of lines, of the frame and of each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import ContourSet
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    from snstat.report.figures.style import Style
    from snstat.results import BoolArray, FloatArray

Color: TypeAlias = tuple[float, float, float]
# Font sizes of numbers and of names, in a single picture and in a small one.
NUMBER, NAME = (7.0, 5.5), (11.0, 8.0)
# By how much of a letter the ground of names and of numbers is wider.
PADS = (0.2, 0.1)
# Pixels that are left free around a name, in a single picture and in a small one, and beside a
# number before the next line.
AROUND, BESIDE = (3, 1), 1.5
# Pixels between a name and a number.
APART = 10.0
# Clearance in pixels beyond which a number goes to the middle of its contour instead; and how many
# of its widths a contour is long at least.
ENOUGH, LEAST_WIDTHS = 20.0, 4.0
# The share of the points of equal lines that lie on each other at least.
ALIKE = 0.9
# What a pixel farther from the middle costs, in pixels of clearance.
CENTRED = 0.05


@dataclass(frozen=True, slots=True)
class Plane:
    """What is drawn on the plane of one activation.

    `parts` are the phases by name, (biases, gains), on the grid `at` of the axes; `contours` are
    those of depth scales by name; `borders` are the lines that no text may cross, `dots` (count, 2)
    the saved runs.
    """

    axes: Axes
    at: tuple[FloatArray, FloatArray]
    parts: Mapping[str, BoolArray]
    tints: Mapping[str, Color]
    dots: FloatArray
    contours: dict[str, ContourSet] = field(default_factory=dict)
    borders: dict[str, ContourSet] = field(default_factory=dict)

    def levels(self, name: str) -> list[float]:
        """Return the depth scales in layers whose contour is somewhere on the plane."""
        drawn = self.contours.get(name)
        return (
            [] if drawn is None else [level for level, lines in _lines(self.axes, drawn) if lines]
        )

    def has_border(self, name: str) -> bool:
        """Return whether a line that separates phases is somewhere on the plane."""
        drawn = self.borders.get(name)
        return drawn is not None and any(lines for _, lines in _lines(self.axes, drawn))


def label(plane: Plane, look: Style, *, small: bool, largest: float) -> None:
    """Write the names of the phases, and the layers of contours up to `largest` on them. The layout
    of the page must be settled."""
    hard = [
        line for drawn in plane.borders.values() for _, own in _lines(plane.axes, drawn)
        for line in own
    ]  # fmt: skip
    hard += [_ring(centre) for centre in plane.axes.transData.transform(plane.dots)]
    lines = [
        (level, line) for drawn in plane.contours.values()
        for level, own in _lines(plane.axes, drawn) for line in own
    ]  # fmt: skip
    boxes = [
        box
        for name, part in plane.parts.items()
        if (box := _name(plane, part, name, hard, [line for _, line in lines], look, small=small))
    ]
    _numbers(plane, _distinct(lines), hard, boxes, look, largest, size=NUMBER[small])


def _lines(axes: Axes, drawn: ContourSet) -> Iterator[tuple[float, list[FloatArray]]]:
    """Yield the depth scale of each level and its lines in pixels, a point each half pixel."""
    for level, path in zip(drawn.levels, drawn.get_paths(), strict=True):
        found = map(np.asarray, path.to_polygons(axes.transData, closed_only=False))
        yield float(10.0**level), [_dense(line) for line in found if len(line) > 1]


def _dense(line: FloatArray) -> FloatArray:
    lengths = np.append(0.0, np.cumsum(np.hypot(*np.diff(line, axis=0).T)))
    along = np.linspace(0.0, lengths[-1], int(2 * lengths[-1]) + 2)
    return np.stack([np.interp(along, lengths, values) for values in line.T], axis=1)


def _ring(centre: FloatArray) -> FloatArray:
    angles = np.linspace(0.0, 2 * math.pi, 25)
    found: FloatArray = centre + 5.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return found


def _distinct(lines: Sequence[tuple[float, FloatArray]]) -> list[tuple[float, FloatArray]]:
    """Return `lines` without those that lie on another one of the same level, but for an end."""
    from scipy.spatial import KDTree

    kept: list[tuple[float, FloatArray]] = []
    for level, line in lines:
        same = [other for known, other in kept if known == level]
        if not any((KDTree(other).query(line)[0] < 1.0).mean() > ALIKE for other in same):
            kept.append((level, line))
    return kept


def _name(
    plane: Plane,
    part: BoolArray,
    word: str,
    hard: Sequence[FloatArray],
    soft: Sequence[FloatArray],
    look: Style,
    *,
    small: bool,
) -> Bbox | None:
    """Write the name of a phase where it has most room, if it has any: clear of contours and else
    across them, lying before upright, in a small picture's size where it must be. Return its
    box."""
    from scipy import ndimage

    frame = plane.axes.get_window_extent()
    shape = int(frame.height), int(frame.width)
    inside = _pixels(plane, part, shape)
    _cross_out(inside, hard, frame)
    free = inside.copy()
    _cross_out(free, soft, frame)
    text = plane.axes.text(
        0.5, 0.5, word, ha="center", va="center", transform=plane.axes.transAxes, color=look.ink,
        fontstyle="italic", zorder=4,
        bbox={"facecolor": look.ground, "alpha": 0.65, "linewidth": 0,
              "boxstyle": f"round,pad={PADS[0]}"},
    )  # fmt: skip
    for points, room, angle in product(NAME[small:], (free, inside), (0.0, 90.0)):
        text.set(fontsize=points, rotation=angle)
        box = _box(text, PADS[0], plane.axes.figure)
        size = [math.ceil(length) + 2 * AROUND[small] for length in (box.height, box.width)]
        rows, columns = np.nonzero(ndimage.minimum_filter(room, size, mode="constant", cval=0))
        if rows.size:
            far = ndimage.distance_transform_edt(np.pad(room, 1))[1:-1, 1:-1]
            aside = np.hypot(rows - rows.mean(), columns - columns.mean())
            best = int(np.argmax(far[rows, columns] - CENTRED * aside))
            text.set_position(((columns[best] + 0.5) / shape[1], (rows[best] + 0.5) / shape[0]))
            return _box(text, PADS[0], plane.axes.figure)
    text.remove()
    return None


def _box(text: Text, pad: float, page: Figure | SubFigure) -> Bbox:
    """Return the box in pixels around `text` and its ground, which is wider by `pad` letters."""
    letter = float(text.get_fontsize()) * page.dpi / 72.0
    return text.get_window_extent().padded(pad * letter)


def _pixels(plane: Plane, part: BoolArray, shape: tuple[int, int]) -> BoolArray:
    """Return `part`, which is on the grid, on the pixels of the axes, rows upward."""
    columns, rows = (
        np.rint(
            np.interp((np.arange(count) + 0.5) / count, (values - low) / (high - low),
                      np.arange(values.size))
        ).astype(np.intp)
        for count, values, (low, high) in zip(
            shape[::-1], plane.at, (plane.axes.get_xlim(), plane.axes.get_ylim()), strict=True
        )
    )  # fmt: skip
    found: BoolArray = part[np.ix_(rows, columns)]
    return found


def _cross_out(room: BoolArray, lines: Sequence[FloatArray], frame: Bbox) -> None:
    """Take the pixels on `lines` out of `room`."""
    for line in lines:
        columns, rows = np.floor(line - frame.min).astype(np.intp).T
        room[rows.clip(0, room.shape[0] - 1), columns.clip(0, room.shape[1] - 1)] = False


def _numbers(
    plane: Plane,
    lines: Sequence[tuple[float, FloatArray]],
    hard: Sequence[FloatArray],
    boxes: Sequence[Bbox],
    look: Style,
    largest: float,
    *,
    size: float,
) -> None:
    """Write its layers on each contour, in this font size, where no other line, name or number is
    near, if there is such a place."""
    from scipy import ndimage
    from scipy.spatial import KDTree

    frame = plane.axes.get_window_extent()
    back = plane.axes.transAxes.inverted()
    numbers: list[FloatArray] = []
    for number, (level, line) in enumerate(lines):
        if level > largest * (1 + 1e-9):
            continue
        text = plane.axes.text(
            0.5, 0.5, f"{level:g}", ha="center", va="center", transform=plane.axes.transAxes,
            color=look.ink, fontsize=size, zorder=2.5, rotation_mode="anchor",
            bbox={"linewidth": 0, "boxstyle": f"square,pad={PADS[1]}"},
        )  # fmt: skip
        box = _box(text, PADS[1], plane.axes.figure)
        reach = math.hypot(box.width, box.height) / 2 + BESIDE
        others = [*(own for place, (_, own) in enumerate(lines) if place != number), *hard]
        clear = np.full(len(line), ENOUGH)
        if others:
            clear = np.minimum(KDTree(np.concatenate(others)).query(line)[0], ENOUGH)
        # All along the number.
        clear = ndimage.minimum_filter1d(clear, 2 * math.ceil(box.width), mode="nearest")
        fits = clear >= box.height / 2 + BESIDE
        fits &= len(line) >= 2 * LEAST_WIDTHS * box.width
        for taken in (*(box.padded(APART).get_points() for box in boxes), *numbers):
            fits &= ((line < taken[0] - reach) | (line > taken[1] + reach)).any(axis=1)
        inside = frame.padded(-reach).get_points()
        fits &= ((line > inside[0]) & (line < inside[1])).all(axis=1)
        places = np.flatnonzero(fits)
        if not places.size:
            text.remove()
            continue
        aside = np.abs(places - len(line) / 2) / 2
        best = int(places[np.argmax(clear[places] - CENTRED * aside)])
        half = math.ceil(box.width)
        across, up = line[min(best + half, len(line) - 1)] - line[max(best - half, 0)]
        angle = math.degrees(math.atan2(up, across))
        text.set_rotation(90.0 - (90.0 - angle) % 180.0)  # upright ones read upward
        text.set_position(tuple(back.transform(line[best]).tolist()))
        text.get_bbox_patch().set_facecolor(_ground(plane, line[best], look))  # type: ignore[union-attr]
        numbers.append(np.stack([line[best] - reach, line[best] + reach]))


def _ground(plane: Plane, point: FloatArray, look: Style) -> Color | str:
    """Return the colour behind `point`, in pixels: of the phase that it is in."""
    at = plane.axes.transData.inverted().transform(point)
    column, row = (
        int(np.argmin(np.abs(values - own))) for values, own in zip(plane.at, at, strict=True)
    )
    for name, part in plane.parts.items():
        if part[row, column]:
            return plane.tints[name]
    return look.ground
