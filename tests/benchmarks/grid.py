"""Compare snstat and PyTorch on a grid of shapes: `grid.py PAGE PICTURE`, part of `make bench`.

Every cell times a whole call of one trial with all statistics in both programs, which take turns. A
slow peer runs fewer layers, and times per layer are compared. Where PyTorch is nearly as fast, the
matrix products are timed alone: both programs need them, so they bound the ratio.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snstat.engine.simulate import simulate
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from tests.benchmarks.side_by_side import PAUSE_SECONDS, timed

WIDTHS = (16, 64, 256, 1024, 4096)
BATCHES = (1, 8, 64, 256, 1024)
ACTIVATIONS = ("selu", "relu", "tanh")
WAYS = ("forward", "both ways")
# Layers of a run, and of a run whose layers take more than LARGE multiplications.
DEPTH, FEW, LARGE = 64, 8, 1e9
ROUNDS = 5
# Multiplications of a peer's run. A slower peer runs fewer layers, but at least LEAST_LAYERS.
PEER_WORK, LEAST_LAYERS = 2e10, 2
# Below this ratio the products are timed alone.
CLOSE = 1.25


class Cell(NamedTuple):
    """One shape, and for each round the ratio of PyTorch's time to snstat's."""

    activation: str
    way: str
    width: int
    batch: int
    ratios: tuple[float, ...]
    seconds: float
    products: float = math.nan  # seconds of the matrix products alone, of a close cell

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return statistics.median(self.ratios)

    @property
    def name(self) -> str:
        """The shape in words."""
        return f"{self.activation}, {self.way}, width {self.width}, batch {self.batch}"


def measure(activation: str, way: str, width: int, batch: int) -> Cell:
    """Measure one cell."""
    from tests.benchmarks import peers_torch

    depth = DEPTH if float(batch) * width * width <= LARGE else FEW
    ours = partial(
        simulate,
        Stack.build(activation, depth=depth, width=width),
        DrawnInputs("normal", width, batch, 0.0, 1.0),
        trials=1,
        seed=0,
        dtype="float32",
        backward=way != "forward",
    )
    work = 2.0 * batch * width * width + 20.0 * width * width
    layers = int(max(LEAST_LAYERS, min(depth, PEER_WORK / work)))
    if way == "forward":
        program = partial(peers_torch.forward(width, batch, activation=activation), layers)
    else:
        program = peers_torch.backward(width, batch, layers, activation=activation)
    peer, own = timed(program, layers / depth), timed(ours)
    own()
    peer()
    pairs = []
    for _ in range(ROUNDS):
        time.sleep(PAUSE_SECONDS)
        theirs = peer()
        time.sleep(PAUSE_SECONDS)
        pairs.append((theirs, own()))
    ratios = tuple(theirs / mine for theirs, mine in pairs)
    cell = Cell(activation, way, width, batch, ratios, statistics.median(b for _, b in pairs))
    if cell.ratio >= CLOSE:
        return cell
    return cell._replace(products=products(width, batch, depth * (1 + (way != "forward"))))


def products(width: int, batch: int, count: int) -> float:
    """Return the seconds of `count` products of weights and activations with all cores."""
    random = np.random.default_rng(0)
    weights = random.standard_normal((width, width), np.float32)
    x = random.standard_normal((width, batch), np.float32)
    out = np.empty_like(x)

    def program() -> None:
        for _ in range(count):
            np.matmul(weights, x, out=out)

    alone = timed(program)
    alone()
    return statistics.median(alone() for _ in range(ROUNDS))


def page(cells: list[Cell], picture: str) -> str:
    """Return the markdown page."""
    slowest = min(cells, key=lambda cell: cell.ratio)
    text = f"""\
# snstat compared with PyTorch, shape by shape

Written by `make bench`. The numbers are the time of PyTorch divided by the time of snstat for one
trial of {DEPTH} layers ({FEW} if a layer takes more than 10⁹ multiplications). Both measure every
statistic. Each number is the median of {ROUNDS} rounds, in which the two alternate. The lowest is
{slowest.ratio:.2f} ({slowest.name}).

![Heat map of the ratios]({picture})
"""
    lines = text.splitlines()
    for activation, way in product(ACTIVATIONS, WAYS):
        lines += [f"**{activation}, {way}**", ""]
        lines.append("| width | " + " | ".join(f"batch {batch}" for batch in BATCHES) + " |")
        lines.append("| ---: |" + " ---: |" * len(BATCHES))
        for width in WIDTHS:
            row = [
                f"{cell.ratio:.3g}"
                for batch in BATCHES
                for cell in cells
                if cell[:4] == (activation, way, width, batch)
            ]
            lines.append(f"| {width} | " + " | ".join(row) + " |")
        lines.append("")
    return "\n".join(lines + floor(cells))


def floor(cells: list[Cell]) -> list[str]:
    """Return the lines about close cells, the closest first."""
    close = sorted((cell for cell in cells if cell.ratio < CLOSE), key=lambda cell: cell.ratio)
    text = f"""\
## Where PyTorch is nearly as fast

Shapes with a ratio below {CLOSE}. With as many samples as units or more, both programs need the
same matrix products, and these take most of the time. "Products" is the time of the products alone
over the time of snstat. "At the floor" is the ratio of a program that needs no other time.

| shape | times faster (lowest to highest) | products | at the floor |
| --- | ---: | ---: | ---: |"""
    rows = [
        f"| {cell.name} | {cell.ratio:.2f} ({min(cell.ratios):.2f} to {max(cell.ratios):.2f}) "
        f"| {cell.products / cell.seconds:.0%} | {cell.ratio * cell.seconds / cell.products:.2f} |"
        for cell in close
    ]
    return [*text.splitlines(), *rows, ""] if close else []


def draw(cells: list[Cell], path: Path) -> None:
    """Draw the heat map."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.4), layout="constrained")
    panels = figure.subplots(len(WAYS), len(ACTIVATIONS), sharex=True, sharey=True)
    for (row, way), (column, activation) in product(enumerate(WAYS), enumerate(ACTIVATIONS)):
        axes = panels[row, column]
        values = np.array(
            [
                [
                    next(
                        cell.ratio for cell in cells if cell[:4] == (activation, way, width, batch)
                    )
                    for batch in BATCHES
                ]
                for width in WIDTHS
            ]
        )
        image = axes.imshow(values, norm=LogNorm(0.1, 1000.0), cmap="RdBu", origin="lower")
        for place, value in np.ndenumerate(values):
            dark = value > 100 or value < 0.3
            axes.text(place[1], place[0], f"{value:.2g}" if value < 100 else f"{value:.0f}",
                      ha="center", va="center", fontsize=8, color="w" if dark else "k")  # fmt: skip
        axes.set_xticks(range(len(BATCHES)), [str(batch) for batch in BATCHES])
        axes.set_yticks(range(len(WIDTHS)), [str(width) for width in WIDTHS])
        axes.set_title(f"{activation}, {way}", fontsize=10)
        if row == len(WAYS) - 1:
            axes.set_xlabel("batch")
        if column == 0:
            axes.set_ylabel("width")
    figure.colorbar(image, ax=panels, label="time of PyTorch / time of snstat", shrink=0.8)
    figure.savefig(path, metadata={"Date": None, "Creator": "snstat"})


if __name__ == "__main__":
    target, drawing = map(Path, sys.argv[1:])
    found = []
    for shape in product(ACTIVATIONS, WAYS, WIDTHS, BATCHES):
        found.append(measure(*shape))
        cell = found[-1]
        sys.stderr.write(f"{cell.name}: {cell.ratio:.3g} ({cell.seconds * 1e3:.3g} ms)\n")
    draw(found, drawing)
    target.write_text(page(found, drawing.name), "utf-8")
