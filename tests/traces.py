"""Traced modules without a tracer: what one would return for a small residual network."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snstat.experiment.traced import traced_run
from snstat.results import (
    OF_POSITIONS,
    STATISTICS,
    Axes,
    BoolArray,
    Call,
    FloatArray,
    Left,
    ModuleSummary,
    NonFinite,
    Run,
)
from snstat.sources.mapped import Mapped

NAMES = (*STATISTICS, "largest", *OF_POSITIONS)
IMAGES = Axes((0,), (2, 3), (1,), "probed")
VECTORS = Axes((0,), (), (1,), "kind")


@dataclass(frozen=True)
class Traced:
    """What a tracer returns."""

    summary: ModuleSummary
    batch: int
    finite: BoolArray
    values: FloatArray
    names: tuple[str, ...]
    log_gradient: FloatArray | None
    mapped: Mapped | None = None


def call(path: str, kind: str, **others: Any) -> Call:
    images: dict[str, Any] = {
        "call": 1,
        "output": "",
        "shape": ("S", 16, 8, 8),
        "axes": IMAGES,
        "dtype": "float32",
        "trials": 4,
    }
    return Call(**{"path": path, "kind": kind, **images, **others})


ROWS = (
    call("conv1", "Conv2d"),
    call("relu", "ReLU"),
    call("layer1.conv", "Conv2d"),
    call("layer1.relu", "ReLU", repeated=True),
    call("layer1.relu", "ReLU", call=2, repeated=True, trials=3),
    call("layer1", "Block"),
    call("pool", "AdaptiveAvgPool2d", shape=("S", 16, 1, 1)),
    call("attention", "Attention", output="[1]", shape=("S", 64, 64), axes=None),
    call("fc", "Linear", shape=("S", 10), axes=VECTORS),
    call("ResNet", "ResNet", shape=("S", 10), axes=VECTORS, same_as=9),
)
SUMMARY = ModuleSummary(
    target="models:resnet",
    settings={"width": 16},
    framework="torch",
    framework_version="2.13.0",
    parameters=45146,
    mode="train",
    dropout="keep",
    trials_of="model",
    inputs={"x": "Bx3x8x8"},
    input_shape=(3, 8, 8),
    rows=ROWS,
    theory_ends=(Left("pool", "AdaptiveAvgPool2d has no theory"),),
    not_called=("out_proj",),
    skipped=(Left("fft", "complex64", 1, "[0]"),),
)


def make_traced(
    summary: ModuleSummary = SUMMARY,
    *,
    trials: int = 4,
    moment: float = 1.0,
    growth: float = 1.0,
    nonfinite: int | None = None,
    backward: bool = True,
    seed: int | None = 0,
    batch: int = 8,
) -> Traced:
    """Return traced rows whose second moment is `moment` at the input, and changes by `growth` a
    row. From row `nonfinite` on, trial 0 has values that are not finite."""
    generator = np.random.default_rng(seed or 0)
    rows = summary.depth + 1
    second = (
        moment
        * growth ** np.arange(rows)
        * np.exp(0.01 * generator.standard_normal((trials, rows)))
    )
    values = {
        "mean": 0.1 * np.sqrt(second),
        "variance": 0.99 * second,
        "second_moment": second,
        "variance_over_batch": 0.9 * second,
        "variance_over_units": 0.9 * second,
        "variance_over_positions": 0.5 * second,
        "cosine": np.clip(0.05 + 0.01 * generator.standard_normal(second.shape), -1.0, 1.0),
        "position_cosine": np.clip(0.2 + 0.01 * generator.standard_normal(second.shape), -1, 1),
        "kurtosis": np.full_like(second, 3.0),
        "dead_fraction": np.zeros_like(second),
        "largest": 4.0 * np.sqrt(second),
    }
    table = np.stack([values[name] for name in NAMES], axis=2)
    spread = [NAMES.index(name) for name in OF_POSITIONS]
    pooled = [NAMES.index(n) for n in NAMES if n.startswith("variance_") or n.endswith("cosine")]
    log_gradient = 0.1 * generator.standard_normal((trials, rows)) + np.linspace(1.0, 0.0, rows)
    for number, row in enumerate(summary.rows, 1):
        if row.axes is None:
            table[:, number, pooled] = math.nan
        elif not row.axes.position:
            table[:, number][:, spread] = math.nan
        if row.gradient_missing is not None:
            log_gradient[:, number] = math.nan
        table[row.trials :, number] = math.nan
        log_gradient[row.trials :, number] = math.nan
        if row.same_as is not None:
            table[:, number] = table[:, row.same_as]
            log_gradient[:, number] = log_gradient[:, row.same_as]
    finite = np.ones(rows, dtype=bool)
    if nonfinite is not None:
        finite[nonfinite:] = False
        table[0, nonfinite:] = math.nan
        made = summary.rows[nonfinite - 1]
        summary = replace(
            summary, nonfinite=NonFinite(0, made.path, made.call, made.kind, inputs_finite=True)
        )
    return Traced(summary, batch, finite, table, NAMES, log_gradient if backward else None)


def make_traced_run(summary: ModuleSummary = SUMMARY, **options: Any) -> Run:
    """Return the run of `make_traced`."""
    keep = options.pop("keep_trials", False)
    traced = make_traced(summary, **options)
    seed = options.get("seed", 0)
    return traced_run(traced, seed=seed, dtype="float32", keep_trials=keep)
