"""A run in words: the stack, the sampling, and sentences about the result."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import TYPE_CHECKING

import numpy as np

from snstat.activation import display_name
from snstat.errors import escaped
from snstat.report.numbers import beside_one, factor, plain

if TYPE_CHECKING:
    from snstat.results import Run, Simulation, StackSummary

# Activations for which no initialiser preserves the signal, and the gain G that preserves a second
# moment of 1: E[φ(G z)²] = 1. That fixed point is unstable, so depth and width limit its use.
STEADY_GAINS = {
    "gelu": 1.468,
    "gelu_tanh": 1.468,
    "silu": 1.559,
    "hard_swish": 1.567,
    "mish": 1.451,
}
# Characters of a digest that are shown: "sha256:" and eight digits.
DIGEST_SHOWN = 15
# Gradients within this factor of 1 over the whole stack have kept their size.
STEADY = 1.005
# A signal that changes by at most this factor over the whole stack needs no other gain.
NEUTRAL = 1.1


def count(number: int, noun: str) -> str:
    """Return "1 layer", "64 layers", "100,000 layers"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Return "mean", "mean and z", "mean, variance and z"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def stack_words(stack: StackSummary) -> str:
    """Return the stack on one line: "SELU · 64 layers of 1024 · lecun_normal (gain 1)".

    If layers differ: "ReLU · 4 layers: 784 → 512 ×3 → 10 · linear read-out · …".
    """
    layers = count(stack.depth, "layer")
    parts = [display_name(stack.activation)]
    if stack.widths is not None:
        parts.append(f"{layers}: {stack.widths.replace(',', ' → ').replace('*', ' ×')}")
    else:
        parts.append(f"{layers} of {stack.width}")
    if stack.widths is None and stack.input_width != stack.width:
        parts.append(f"inputs of {stack.input_width}")
    if stack.last is not None:
        linear = stack.last == "identity"
        parts.append("linear read-out" if linear else f"last layer {display_name(stack.last)}")
    parts.append(f"{stack.init} ({', '.join(_draws_words(stack))})")
    return " · ".join(parts)


def _draws_words(stack: StackSummary) -> Iterator[str]:
    """Yield the gains or standard deviations, so that different stacks never look alike.

    Given values have all their digits. The initialiser's have four, and dots if there are more.
    """
    if "weight_std" in stack.given and stack.weight_std is not None:
        yield f"weight std {exact(stack.weight_std)}"
    elif "weight_gain" in stack.given or not stack.drawn:
        yield f"gain {exact(stack.weight_gain)}"
    else:
        yield from _own_gains(stack)
        if stack.activation in STEADY_GAINS:
            yield f"{STEADY_GAINS[stack.activation]:g} would keep a second moment of 1"
    if stack.drawn and stack.drawn[-1].biases == "uniform":
        stds = [layers.bias_std for layers in stack.drawn]
        spread = "" if stack.widths is None else f"{dotted(min(stds))} to "
        yield f"uniform biases of std {spread}{dotted(max(stds) if spread else stds[-1])}"
    elif stack.bias_std:
        yield f"bias std {exact(stack.bias_std)}"


def _own_gains(stack: StackSummary) -> Iterator[str]:
    """Yield the gains that the initialiser gives the layers, that of square layers first."""
    fan_ins = [stack.units(layers.first - 1) for layers in stack.drawn]
    # An orthogonal matrix has gain 1 if its rows or columns, whichever are fewer, have norm 1.
    sides = [layers.units if stack.init == "orthogonal" else 1 for layers in stack.drawn]
    gains = [
        layers.weight_std * math.sqrt(max(fan_in, side))
        for layers, fan_in, side in zip(stack.drawn, fan_ins, sides, strict=True)
    ]
    alike = all(math.isclose(gain, stack.weight_gain, rel_tol=1e-12) for gain in gains)
    if alike or stack.depth == 1:
        yield f"gain {dotted(stack.weight_gain if alike else gains[0])}"
    elif stack.widths is None:
        yield f"gain {dotted(stack.weight_gain)}"
        yield f"first layer {dotted(gains[0])}"
    else:
        yield f"gains {dotted(min(gains))} to {dotted(max(gains))}"


def exact(value: float) -> str:
    """Return `value` with four digits, or as many as reproduce it exactly."""
    text = f"{value:.4g}"
    return text if float(text) == value else repr(value)


def dotted(value: float) -> str:
    """Return `value` with at most four digits, and dots if it has more: "1", "1.414…"."""
    text = f"{value:.4g}"
    if math.isclose(float(text), value, rel_tol=1e-12):
        return text
    # Digits before dots are truncated, not rounded.
    with localcontext(rounding=ROUND_DOWN, prec=4):
        return f"{float(+Decimal(value)):.4g}…"


def simulation_words(simulation: Simulation) -> str:
    """Return the sampling on one line: "8 trials × batch 64 · float32, dense, seed 0"."""
    sampling = f"{simulation.dtype}, {simulation.sampler}, seed {simulation.seed}"
    parts = [f"{count(simulation.trials, 'trial')} × batch {simulation.batch}", sampling]
    moments = (simulation.input_mean, simulation.input_std)
    if simulation.inputs != "normal" or moments not in ((0.0, 1.0), (None, None)):
        # The name of a file may contain control characters.
        inputs = f"inputs {escaped(simulation.inputs)}"
        if simulation.input_mean is not None and simulation.input_std is not None:
            inputs += f" (mean {exact(simulation.input_mean)}, std {exact(simulation.input_std)})"
        if simulation.inputs_digest is not None:
            inputs += f" ({simulation.inputs_digest[:DIGEST_SHOWN]}…)"
        if simulation.standardize:
            inputs += ", standardized"
        if simulation.flatten:
            inputs += ", flattened"
        parts.append(inputs)
    return " · ".join(parts)


def interruption(run: Run) -> str:
    """Return what a partial run holds, or an empty string for a complete one."""
    if not run.partial:
        return ""
    last = len(run.finite) - 1
    if last < 0:
        return "Interrupted before all trials had completed a layer."
    whole = f"Interrupted: layers 0–{last} of {run.stack.depth}, which every trial completed"
    return f"{whole}, without gradients." if last == run.stack.depth else f"{whole}."


def broken_layers(run: Run) -> str:
    """Return which layers are not finite, or an empty string if all are."""
    first = run.first_nonfinite
    if first is None:
        return ""
    bad = int(np.count_nonzero(~run.finite))
    if bad == len(run.finite) - first:
        return f"Not finite from layer {first} on ({bad} of {len(run.finite)} layers)."
    return f"Not finite: {bad} of {len(run.finite)} layers, the first is layer {first}."


def limit_sentence(run: Run) -> str:
    """Return the limit of the forward signal by theory."""
    outlook = run.outlook
    if outlook is None:
        return ""
    rate = outlook.rate
    if outlook.kind == "converges" and outlook.mean is not None and outlook.variance is not None:
        speed = "" if rate is None else f" (rate {_rate(rate)} per layer)"
        return (
            f"Converges to mean {_limit(outlook.mean)}, variance {_limit(outlook.variance)}{speed}."
        )
    if outlook.kind in {"vanishes", "explodes"}:
        if rate is not None and _nearly_neutral(run, rate):
            total = f"×{beside_one(rate**run.stack.depth, 4)}"
            over = f"over {count(run.stack.depth, 'layer')}"
            return f"Nearly neutral: {factor(rate)} per layer, {total} {over} (theory)."
        speed = "" if rate is None else f", {factor(rate)} per layer"
        return f"The signal {outlook.kind} in the limit of depth{speed} (theory)."
    if outlook.kind == "silent":
        return "Silent: the inputs and biases are zero."
    if outlook.kind == "neutral":
        return "Neutral: every second moment is preserved, so drifts are not corrected (theory)."
    return "Drifts: the signal reaches no fixed point (theory)."


def gradient_sentence(run: Run) -> str:
    """Return how squared gradients change from the last layer back to the input, by theory."""
    total = None if run.outlook is None else run.outlook.gradient_factor
    if total is None:
        return ""
    over = f"over {count(run.stack.depth, 'layer')} (theory)"
    if total == 0 or math.isinf(total):
        return f"Squared gradients {'overflow' if total else 'vanish'} {over}."
    if 1 / STEADY < total < STEADY:
        return f"Squared gradients keep their size {over}."
    return f"Squared gradients {'grow' if total > 1 else 'shrink'} {factor(total)} {over}."


def _nearly_neutral(run: Run, rate: float) -> bool:
    """Return whether the whole stack preserves the signal's size, both by the limit's `rate` and
    by theory for its layers, which may change faster far from the limit."""
    if rate <= 0 or run.stack.depth * abs(math.log(rate)) > math.log(NEUTRAL):
        return False
    moments = run.statistics["second_moment"].theory[1:]
    if not moments.size:
        return True
    first, last = float(moments[0]), float(moments[-1])
    return first / NEUTRAL <= last <= first * NEUTRAL


def _rate(rate: float) -> str:
    """Return a rate with three decimals, or as many as distinguish it from 1."""
    return f"{rate:.3f}" if f"{rate:.3f}" != "1.000" else beside_one(rate, 4)


def _limit(value: float) -> str:
    """Return a limit with three decimals, or with an exponent if it is small or large."""
    return f"{value + 0.0:.3f}" if value == 0 or 0.01 <= abs(value) < 1e5 else plain(value, 4)
