"""What to try, one thing at a time. Whether it helps is tried out elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from snstat.checks.between import between_networks
from snstat.checks.bounds import MAX_FLUCTUATION
from snstat.checks.gains import holding_gains
from snstat.checks.rule import Broken, Remedy
from snstat.checks.stack_case import StackCase
from snstat.results import InputMoments

# Longer lists of widths are not written out: fewer layers are so many of the first ones.
LONGEST_WIDTHS = 60
# Drawn inputs are normal unless asked otherwise.
NORMAL_KURTOSIS = 3.0
# Wider networks than these are no advice, but of very narrow ones.
MUCH_WIDER, MOST_WIDTH, USUAL_WIDTH = 4, 65_536, 256
STANDARD = (0.0, 1.0)
# Data are told apart from their standard by what is more than rounding.
NEARLY = 1e-3


def change(case: StackCase, *, at_least: bool = False, **changes: Any) -> Remedy:
    """Return the remedy that makes `changes` (see `StackCase.changed`) to a case.

    Its layers are the most that there may be, or the least (`at_least`).
    """
    changed = case.changed(**changes)
    std = _weight_std(case, changed)
    if std is not None:
        others = {knob: value for knob, value in changes.items() if knob != "weight_gain"}
        changed = case.changed(**others, weight_std=std)
    old, new = case.stack, changed.stack
    options, shape = [], []
    if std is not None:
        options.append(f"--weight-std {std!r} (now {old.weight_std:.4g})")
    elif new.weight_gain != old.weight_gain and new.weight_gain is not None:
        text = f"{new.weight_gain:.4g}"
        text = text if float(text) == new.weight_gain else repr(new.weight_gain)
        now = f"(now {case.layer.gain:.4g})"
        if old.weight_std is not None:
            now = f"instead of --weight-std {old.weight_std:.4g}"
        options.append(f"--weight-gain {text} {now}")
    if changed.layer.bias_std != case.layer.bias_std:
        options.append(f"--bias-std {changed.layer.bias_std:.4g} (now {case.layer.bias_std:.4g})")
    if changed.inputs is not case.inputs and "inputs" in changes:
        options += _inputs_words(case.inputs, changed.inputs)
    if changed.bounds.number_format != case.bounds.number_format:
        formats = f"{changed.bounds.number_format} (now {case.bounds.number_format})"
        options.append(f"--number-format {formats}")
    if "depth" in changes and len(new.written_widths) <= LONGEST_WIDTHS and case.width is None:
        options.append(f"--widths {new.written_widths} (now {old.widths})")
    elif "depth" in changes:
        shape.append(_layers_words(case, new.depth, "least" if at_least else "most"))
    if new.widest != old.widest:
        shape.append(f"width ≥ {new.widest:,} (now {old.widest:,})")
    parts = options + shape
    words = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return Remedy(f"use {words}" if options else words, changed)


def _weight_std(case: StackCase, changed: StackCase) -> float | None:
    """Return the standard deviation that gives the weights of `changed` their gain, None where the
    user gave a gain, or one deviation cannot give it to layers of several widths.

    A gain of few digits has few too.
    """
    old, new = case.stack, changed.stack
    if old.weight_std is None or new.weight_gain is None:
        return None
    if changed.width is None or new.width_of(0) != changed.width:
        return None
    # The gain of weights of standard deviation 1, cut or not.
    unit = changed.changed(weight_std=1.0).layer.gain
    exact = new.weight_gain / unit
    few = float(f"{new.weight_gain:.4g}") == new.weight_gain
    return float(f"{exact:.6g}") if few else exact


def _inputs_words(old: InputMoments, new: InputMoments) -> list[str]:
    if not new.drawn and new.mean == 0.0 and new.variance == 1.0:
        return ["--standardize"]
    if not new.drawn:
        return [f"inputs scaled by {math.sqrt(new.second_moment / old.second_moment):.4g}"]
    words = []
    if new.mean != old.mean:
        words.append(f"--input-mean {new.mean:g} (now {old.mean:.4g})")
    if new.variance != old.variance:
        # Squares of the smallest deviations are 0.
        tiny = old.variance == 0 and not old.silent
        now = "too small to square" if tiny else f"{math.sqrt(old.variance):.4g}"
        words.append(f"--input-std {math.sqrt(new.variance):g} (now {now})")
    return words


def _layers_words(case: StackCase, depth: int, bound: str) -> str:
    layers = "1 layer" if depth == 1 else f"{depth:,} layers"
    limit = f", --depth-limit {case.limit}" if case.limit > case.depth else ""
    return f"at {bound} {layers} (now {case.depth:,}{limit})"


def gains(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's signature
    """Yield gains that hold the signal over the whole stack."""
    for gain, layers in holding_gains(case):
        if layers >= case.limit:
            yield change(case, weight_gain=gain)


def without_biases(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # as above
    """Yield the stack without its biases."""
    if case.layer.bias_std > 0:
        yield change(case, bias_std=0.0)


def with_biases(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # as above
    """Yield biases, for a signal that is zero without them."""
    if case.outlook.kind == "silent":
        for std in (0.1, 0.5, 1.0):
            yield change(case, bias_std=std)


def standard_inputs(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # as above
    """Yield the stack with standard inputs, or with data scaled to their second moment."""
    inputs = standard(case)
    if inputs is not None:
        yield change(case, inputs=inputs)


def standard(case: StackCase) -> InputMoments | None:
    """Return the moments of inputs of mean 0 and variance 1, or of the target's second moment if
    there is another; data are then only scaled. None where the inputs are such already."""
    old = case.inputs
    mean, variance = case.target or STANDARD
    if not old.drawn and (mean, variance) == STANDARD:
        return _standardized(case)
    wanted = float(f"{math.sqrt(mean**2 + variance):.4g}") ** 2
    if not wanted > 0:
        return None
    if old.drawn:
        kurtosis = NORMAL_KURTOSIS if math.isnan(old.kurtosis) else old.kurtosis
        new = InputMoments(
            mean=0.0,
            variance=wanted,
            second_moment=wanted,
            variance_over_batch=wanted * (1.0 - 1.0 / case.batch),
            variance_over_units=wanted,
            cosine=0.0,
            kurtosis=kurtosis,
            length_variance=(kurtosis - 1.0) / case.stack.width_of(0),
            drawn=True,
        )
        return None if (old.mean, old.variance) == (0.0, wanted) else new
    square = old.second_moment / wanted
    if not 0 < square < math.inf or math.isclose(square, 1.0, rel_tol=NEARLY):
        return None
    return old.scaled(square)


def _standardized(case: StackCase) -> InputMoments | None:
    """Return the moments of the data standardized: exactly, or of a saved run, whose data are not
    at hand, as if all samples had one norm."""
    old = case.inputs
    standard = math.isclose(old.variance, 1.0, rel_tol=NEARLY) and abs(old.mean) <= NEARLY
    if standard or not 0 < old.variance < math.inf:
        return None
    exact = case.standardized()
    if exact is not None:
        return replace(exact, mean=0.0, variance=1.0)  # but for rounding
    gap = old.variance_over_batch / old.variance * case.batch / max(case.batch - 1, 1)
    centred = old.mean**2 <= NEARLY * old.variance
    return replace(
        old.scaled(old.variance),
        mean=0.0,
        variance=1.0,
        second_moment=1.0,
        cosine=math.nan if math.isnan(old.cosine) else 1.0 - gap,
        largest=(old.largest + abs(old.mean)) / math.sqrt(old.variance),
        norms=old.norms.scaled(old.variance) if centred and old.norms is not None else None,
        cosine_spread=old.cosine_spread if centred else math.nan,
    )


def wider_format(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # as above
    """Yield formats of a wider range than the one chosen."""
    for name in ("bfloat16", "float32"):
        if case.bounds.number_format == "float16":
            yield change(case, number_format=name)


def wider(case: StackCase, broken: Broken) -> Iterator[Remedy]:
    """Yield widths at which networks differ less: the variance between them falls as 1/width.

    None of stacks whose layers differ in width: which of them to widen is for a person to say.
    """
    if case.width is None or broken.value is None or broken.bound is None:
        return
    if not 0 < broken.bound <= broken.value:
        return
    width, value, most = case.width, broken.value, widest(case.width)
    # What is more than can be told is told of wider networks.
    while value >= MAX_FLUCTUATION and width <= most:
        width = 4 * width
        fluctuation = between_networks(case.changed(width=width))
        value = min(float(np.nanmax(fluctuation)), MAX_FLUCTUATION)
    least = max(width * (value / broken.bound) ** 2, 1.0 + case.width)
    for wide in (least, 1.0 + least, *(1.5**n * least for n in range(1, 8))):
        if wide <= most:
            yield change(case, width=math.ceil(wide))


def widest(width: int) -> int:
    """Return the largest width that is any use as advice: so many times the present `width`, or
    what is nothing unusual."""
    return min(max(MUCH_WIDER * width, USUAL_WIDTH), MOST_WIDTH)


# What mends most rules, the mildest first.
HOLDING = (standard_inputs, gains, without_biases)
