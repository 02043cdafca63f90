"""Is the signal the same at every width? SN503, of several networks that differ in their width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snstat.checks.bounds import Bounds
from snstat.checks.rule import Page
from snstat.errors import InvalidValueError
from snstat.results import Check, Finding, FloatArray, Run
from snstat.results.check import FEW_TRIALS
from snstat.results.student import quantile
from snstat.results.widths import (
    CHANGING,
    FLAT,
    GROWING,
    LOST,
    NON_FINITE,
    SHRINKING,
    UNDECIDED,
    VANISHING,
    WidthSlope,
)

# The chance that a check of flat networks fails; its layers share it.
FALSE_ALARM = 0.001
# Relative errors of a second moment below this are rounding, as after a norm.
ROUNDING = 1e-5
# Relative differences of widths below this are none.
EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class WidthsRule(Page):
    """The rule of runs that differ in their width; see `judge_widths`."""


def depends_on_width(slopes: Sequence[WidthSlope]) -> WidthSlope | None:
    """Activations grow or shrink with the width of the network.

    **What it does.** With --widths-flat, the networks that differ in their width are one check. In
    every layer, a line is fitted to ln RMS (half of ln of the second moment) against ln width. The
    slope is flat, growing or shrinking, or undecided where chance may explain either. Where the
    signal is 0 or not finite at some width, the check fails as vanishing or non-finite.

    **Why it matters.** Where the signal grows or shrinks with the width, so do logits and updates:
    a learning rate that was tuned on a small network is wrong for a large one. This is the
    coordinate check of μP at initialisation.

    **What is compared.** The slope of every layer with --widths-slope-max either way, beyond what
    its standard error explains: a check of flat networks fails once in a thousand times. A slope is
    flat if all that its error allows is within the bound, and the check is flat if all layers are;
    it passes as undecided if some are undecided, and none grows or shrinks. The error is that of
    trials, and larger where the points are not on a line. Width is counted in units of the layers
    that differ.

    **Example.**

    ```console
    $ snstat check -d 4 --weight-std 0.2 -w 64,256 --widths-flat --select SN503
    FAILED widths: growing
      SELU · 4 layers of 64 · lecun_normal (weight std 0.2)
      8 trials × batch 64 · float32, dense, seed 0
      SN503 width-dependent, layer 1: RMS grows as width^0.418±0.006, as 3 other
            layers do
            → let the standard deviation of weights fall as 1/sqrt(fan_in):
              --weight-gain, or --init
      note: widths compared: 64, 256

    layer  ln RMS / ln width  trend
        0     -0.0002±0.0042  flat
        1      0.4183±0.0056  growing
        2      0.8425±0.0095  growing
        3        1.290±0.014  growing
        4        1.736±0.018  growing
    ```

    **How to fix it.** Let the standard deviation of weights fall as 1/√fan_in: an initialiser such
    as he_normal, or --weight-gain instead of --weight-std. A read-out of μP shrinks as 1/√width on
    purpose: choose the layers before it.

    **Options.** `--widths-slope-max` (default 0.1).

    **Known problems.** Only activations at initialisation are judged: neither gradients nor
    updates. Narrow networks differ from wide ones to order depth/width, which may look like a
    slope. Give three widths or more.

    **Source.** Yang et al., *Tensor Programs V*, arXiv:2203.03466, appendix D.1; the coordinate
    check of github.com/microsoft/mup.
    """
    lost = (slope for slope in slopes if slope.trend in LOST)
    changing = (slope for slope in slopes if slope.trend in CHANGING)
    return next(lost, None) or next(changing, None)


WIDTHS_RULE = WidthsRule("SN503", "width-dependent", depends_on_width)


def judge_widths(runs: Sequence[Run], bounds: Bounds, name: str) -> tuple[Check, list[WidthSlope]]:
    """Return the verdict on runs that differ in their width, and the slope of every layer.

    Raises InvalidValueError for runs with other layers, of one width, or of one trial.
    """
    widths = widths_of(runs)
    slopes = width_slopes(runs, widths, bounds.widths_slope_max)
    broken = depends_on_width(slopes)
    findings = () if broken is None else (_finding(broken, slopes, runs, bounds),)
    undecided = any(slope.trend == UNDECIDED for slope in slopes)
    passed = UNDECIDED if undecided else FLAT
    verdict = passed if broken is None else str(broken.trend)
    notes = tuple(_untold(slopes, runs, bounds.widths_slope_max))
    return Check(name, verdict, findings, runs[0].subject, runs[0].simulation, notes), slopes


def _finding(
    broken: WidthSlope, slopes: Sequence[WidthSlope], runs: Sequence[Run], bounds: Bounds
) -> Finding:
    """Return what is wrong with the layer `broken`, and what to try."""
    value, bound = broken.slope, None
    if value is None:
        text = f"the signal is {broken.trend_words} at width {_lost_at(runs, broken.layer)}"
        remedy = "check that width alone: leave --widths-flat out"
    else:
        bad = sum(slope.trend in (*CHANGING, *LOST) for slope in slopes)
        others = f", as {bad - 1} other layer{'s do' if bad > 2 else ' does'}" if bad > 1 else ""
        grows = "grows" if broken.trend == GROWING else "shrinks"
        text = f"RMS {grows} as width^{value:.3g}±{broken.stderr:.1g}{others}"
        remedy = (
            "let the standard deviation of weights fall as 1/sqrt(fan_in): --weight-gain, or --init"
        )
        bound = math.copysign(bounds.widths_slope_max, value)
    return Finding(
        WIDTHS_RULE.code,
        WIDTHS_RULE.name,
        broken.layer,
        value,
        bound,
        f"{text}; {remedy}",
        remedy,
        broken.name if runs[0].module is not None else None,
    )


def _lost_at(runs: Sequence[Run], layer: int) -> str:
    """Return the widths at which a layer has no finite RMS above 0."""
    lost = [
        f"{own:,}"
        for run, own in zip(runs, _units(runs), strict=True)
        if _trend_without_slope(run, layer) is not None
    ]
    return ", ".join(lost)


def _trend_without_slope(run: Run, layer: int) -> str | None:
    """Return why a layer of a run has no logarithm of its RMS: it is not finite, or 0; None where
    it has one, and of tokens, which have no statistics."""
    moment = run.statistics["second_moment"]
    second, error = moment.estimate[layer], moment.stderr[layer]
    if not run.finite[layer] or math.isinf(second) or (second > 0 and not math.isfinite(error)):
        return NON_FINITE
    return VANISHING if second == 0 else None


def _untold(slopes: Sequence[WidthSlope], runs: Sequence[Run], bound: float) -> Iterator[str]:
    """Yield what the verdict does not tell: which widths are compared, and how many layers may have
    a slope beyond the `bound`, for all that trials tell."""
    yield f"widths compared: {', '.join(f'{own:,}' for own in _units(runs))}"
    undecided = sum(slope.trend == UNDECIDED for slope in slopes)
    if undecided:
        words = f"slopes of {undecided} of {len(slopes)} layers may be beyond {bound:g} either way"
        yield f"{runs[0].simulation.trials} {FEW_TRIALS}: {words}; use more --trials or widths"


def _allowed(runs: Sequence[Run]) -> float:
    """Return how many standard errors chance explains, in any layer."""
    freedom = sum(run.simulation.trials - 1 for run in runs)
    return quantile(FALSE_ALARM / len(runs[0].finite), freedom)


def widths_of(runs: Sequence[Run]) -> FloatArray:
    """Return the width of each run over that of the first, (runs,): the median over the layers in
    which they differ."""
    if len(runs) < 2:
        bound = "at least 2 with --widths-flat: several widths, such as -w 64,256,1024"
        raise InvalidValueError("number of runs", len(runs), bound)
    first = _layers(runs[0])
    ratios = np.ones(len(runs))
    for place, run in enumerate(runs):
        layers = _layers(run)
        if [own[:-1] for own in layers] != [own[:-1] for own in first]:
            raise InvalidValueError("run", f"number {place + 1}", "of the same layers as the first")
        if run.simulation.trials < 2:
            raise InvalidValueError("trials", run.simulation.trials, "at least 2, for errors")
        own = [
            units / other
            for (*_, units), (*_, other) in zip(layers, first, strict=True)
            if units != other and other
        ]
        ratios[place] = float(np.median(own)) if own else 1.0
    if np.ptp(np.log(ratios)) < EQUAL:
        remedy = "give several, such as -w 64,256,1024, or --set width=64,256,1024"
        raise InvalidValueError("number of widths", 1, "at least 2 with --widths-flat", remedy)
    if (np.diff(np.sort(np.log(ratios))) < EQUAL).any():
        bound = "different in all runs with --widths-flat: two of them differ in something else"
        raise InvalidValueError("width", "the same in two runs", bound, "check them one by one")
    return ratios


def _layers(run: Run) -> list[tuple[str, str, str, int]]:
    """Return name, kind, activation of a stack, and units of all layers; positions are no units."""
    found = []
    for layer in range(len(run.finite)):
        row = run.row(layer)
        function = run.stack.activation if run.stack is not None else ""
        alone = run.module is None and row.shape
        found.append((row.name, row.kind, function, row.shape[-1] if alone else row.units))
    return found


def _units(runs: Sequence[Run]) -> tuple[int, ...]:
    """Return the units of each run in the first layer in which the runs differ."""
    layers = zip(*([own[-1] for own in _layers(run)] for run in runs), strict=True)
    return next(units for units in layers if len(set(units)) > 1)


def width_slopes(runs: Sequence[Run], widths: FloatArray, bound: float) -> list[WidthSlope]:
    """Return the slope of ln RMS against ln width of every layer, and whether that is within the
    `bound` or beyond it, whatever chance did."""
    moments = [run.statistics["second_moment"] for run in runs]
    second = np.array([moment.estimate for moment in moments])
    errors = np.array([moment.stderr for moment in moments])
    with np.errstate(all="ignore"):
        y = 0.5 * np.log(second)
        error = 0.5 * np.maximum(errors / second, ROUNDING)
    allowed = _allowed(runs)
    found = []
    for layer in range(second.shape[1]):
        name = runs[0].row(layer).name
        if not (np.isfinite(y[:, layer]).all() and np.isfinite(error[:, layer]).all()):
            lost = {_trend_without_slope(run, layer) for run in runs}
            trend = next((word for word in LOST if word in lost), None)
            found.append(WidthSlope(layer, name, None, None, trend))
            continue
        slope, stderr = fitted(np.log(widths), y[:, layer], error[:, layer])
        trend = UNDECIDED
        if abs(slope) - allowed * stderr > bound:
            trend = GROWING if slope > 0 else SHRINKING
        elif abs(slope) + allowed * stderr <= bound:
            trend = FLAT
        found.append(WidthSlope(layer, name, slope, stderr, trend))
    return found


def fitted(x: FloatArray, y: FloatArray, error: FloatArray) -> tuple[float, float]:
    """Return the slope of the line through points (x, y) with these errors of y, by least squares,
    and its standard error, which grows with the misfit where that exceeds the errors."""
    weight = 1.0 / np.square(error)
    middle = np.average(x, weights=weight)
    spread = float(np.sum(weight * np.square(x - middle)))
    slope = float(np.sum(weight * (x - middle) * y)) / spread
    level = np.average(y, weights=weight)
    misfit = float(np.sum(weight * np.square(y - level - slope * (x - middle))))
    freedom = len(x) - 2
    factor = math.sqrt(max(misfit / freedom, 1.0)) if freedom > 0 else 1.0
    return slope, factor / math.sqrt(spread)
