"""How a network, and how it was sampled, is described in words: all that people read of either
comes from here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from snstat.activation import display_name
from snstat.errors import escaped
from snstat.report.given_words import (
    DIGEST_SHOWN,
    activations_of,
    last_words,
    trials_words,
    weights_parts,
)
from snstat.report.numbers import as_given, dotted
from snstat.report.words import SEPARATOR, count
from snstat.results import NetworkSummary, StackSummary

if TYPE_CHECKING:
    from snstat.results import LayerSummary, Simulation, Subject

# Activations for which no initialiser preserves the signal, and the gain G that preserves a second
# moment of 1: E[φ(G z)²] = 1. That fixed point is unstable, so depth and width limit its use.
STEADY_GAINS = {
    "gelu": 1.468,
    "gelu_tanh": 1.468,
    "silu": 1.559,
    "hard_swish": 1.567,
    "mish": 1.451,
}
# What to call samplers that have no name of their own.
SAMPLERS = {"auto": "matrix-free in part"}


def network_words(subject: Subject) -> str:
    """Return the network on one line: "SELU · 64 layers of 1,024 · lecun_normal (gain 1)".

    If layers differ: "ReLU · 4 layers: 784 → 512 ×3 → 10 · linear read-out · …". A network of any
    layers: "encoder · 49 layers · 784 → 10".
    """
    if subject.what == "module":
        # Words for modules are needed where there is one.
        from snstat.report.module_words import module_title

        return module_title(subject)
    if isinstance(subject, NetworkSummary):
        shapes = " → ".join((_input_words(subject), shape_words(subject.layers[-1].shape)))
        name, depth = network_name(subject), count(subject.depth, "layer")
        return SEPARATOR.join([name, depth, shapes, *weights_parts(subject)])
    stack = subject
    layers = count(stack.depth, "layer")
    parts = [network_name(stack)]
    if stack.widths is not None:
        stretches = (entry.partition("*") for entry in stack.widths.split(","))
        units = (f"{int(width):,}{times and ' ×'}{number}" for width, times, number in stretches)
        parts.append(f"{layers}: {' → '.join(units)}")
    else:
        parts.append(f"{layers} of {stack.width:,}")
        if stack.input_width != stack.width:
            parts.append(f"inputs of {stack.input_width:,}")
    if stack.last is not None:
        parts.append(last_words(stack.last))
    init, draws = initialiser_words(stack)
    return SEPARATOR.join([*parts, f"{init} ({draws})"])


def described(subject: Subject) -> dict[str, Any]:
    """Return the fields that describe a network, by name."""
    if subject.what == "module":
        keys = ("dropout", "trials_of", "device", "loss", "weights", "weights_digest")
        own = {key: subject[key] for key in keys}
        return {"network": subject.called, **subject.settings, "mode": subject.mode, **own}
    if isinstance(subject, NetworkSummary):
        if subject.weights is None:
            return {"network": subject.called}
        return {
            "network": subject.called,
            **activations_of(subject),
            "weights": subject.weights.digest[:DIGEST_SHOWN],
        }
    return dict(subject)


def shape_words(shape: Sequence[int]) -> str:
    """Return a shape: "1,024", or "28 × 28 × 3", grid first."""
    return " × ".join(f"{size:,}" for size in shape)


def _input_words(network: NetworkSummary) -> str:
    """Return the shape of the input: "784", or "128 of 32,000 tokens"."""
    *grid, channels = network.layers[0].shape
    if not network.tokens:
        return shape_words((*grid, channels))
    return f"{shape_words(grid or (1,))} of {count(network.tokens, 'token')}"


def layer_name(row: LayerSummary) -> str:
    """Return the name of a layer, with its kind where the name ends in a number."""
    last = row.name.rpartition(".")[2]
    return f"{row.name} {row.kind}" if last.isdecimal() else row.name


def layer_words(subject: Subject, layer: int) -> str:
    """Return what to call a layer: its number in a stack, else its name."""
    return str(layer) if isinstance(subject, StackSummary) else layer_name(subject.row(layer))


def network_name(subject: Subject) -> str:
    """Return the shortest name of a network: its own, or that of its activation: "SELU"."""
    if not isinstance(subject, StackSummary):
        return escaped(subject.called)
    return display_name(subject.activation)


def width_words(subject: Subject) -> str:
    """Return at which width theory holds: "at width 1,024", or "at these widths"."""
    if not isinstance(subject, StackSummary) or subject.widths is not None:
        return "at these widths"
    return f"at width {subject.width:,}"


def initialiser_words(subject: Subject) -> tuple[str, str]:
    """Return the initialiser and what it draws: "lecun_normal", "gain 1, bias std 0.1". Both are
    empty for networks that have no one initialiser."""
    if not isinstance(subject, StackSummary):
        return "", ""
    return subject.init, ", ".join(_draws_words(subject))


def _draws_words(stack: StackSummary) -> Iterator[str]:
    """Yield the gains or standard deviations, so that different stacks never look alike.

    Given values have all their digits. The initialiser's have four, and dots if there are more.
    """
    if "weight_std" in stack.given and stack.weight_std is not None:
        yield f"weight std {as_given(stack.weight_std)}"
    elif "weight_gain" in stack.given or not stack.drawn:
        yield f"gain {as_given(stack.weight_gain)}"
    else:
        yield from _own_gains(stack)
        if stack.activation in STEADY_GAINS:
            yield f"{STEADY_GAINS[stack.activation]:g} would keep a second moment of 1"
    if stack.drawn and stack.drawn[-1].biases == "uniform":
        stds = [layers.bias_std for layers in stack.drawn]
        spread = "" if stack.widths is None else f"{dotted(min(stds))} to "
        yield f"uniform biases of std {spread}{dotted(max(stds) if spread else stds[-1])}"
    elif stack.bias_std:
        yield f"bias std {as_given(stack.bias_std)}"


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


def sampling_words(subject: Subject, simulation: Simulation) -> str:
    """Return how a network was sampled, on one line."""
    if subject.what == "module":
        from snstat.report.module_words import module_sampling

        return module_sampling(subject, simulation)
    return simulation_words(simulation, subject if isinstance(subject, NetworkSummary) else None)


def simulation_words(simulation: Simulation, network: NetworkSummary | None = None) -> str:
    """Return the sampling on one line: "8 trials × batch 64 · float32, dense, seed 0". Of a
    `network` whose weights are given it says what trials draw."""
    sampler = f"{SAMPLERS.get(simulation.sampler, simulation.sampler)}, "
    if network is not None and network.weights is not None:
        sampler = ""  # nothing is drawn but inputs
    if simulation.infinite_width is not None:
        units = count(simulation.infinite_width, "unit")
        sampler = f"population of {units} at infinite width, "
    sampling = f"{simulation.dtype}, {sampler}seed {simulation.seed}"
    if not simulation.train:
        sampling += ", eval mode"
    parts = [f"{trials_words(simulation, network)} × batch {simulation.batch:,}", sampling]
    mean, std = simulation.input_mean, simulation.input_std
    if simulation.inputs != "normal" or (mean, std) not in ((0.0, 1.0), (None, None)):
        # The name of a file may contain control characters.
        inputs = f"inputs {escaped(simulation.inputs)}"
        if mean is not None and std is not None:
            inputs += f" (mean {as_given(mean)}, std {as_given(std)})"
        if simulation.inputs_digest is not None:
            inputs += f" ({simulation.inputs_digest[:DIGEST_SHOWN]}…)"
        if simulation.standardize:
            inputs += ", standardized"
        if simulation.flatten:
            inputs += ", flattened"
        parts.append(inputs)
    return SEPARATOR.join(parts)
