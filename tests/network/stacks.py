"""Stacks of every form that the options allow, small enough to be written out."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack

NAMES = ("selu", "relu", "tanh", "gelu", "leaky_relu:0.2", "sine", "identity", "sigmoid")


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    """Draw a stack."""
    options: dict[str, Any] = {
        "init": draw(st.sampled_from([None, None, *INITIALISERS])),
        "last": draw(st.sampled_from([None, "linear", "tanh", "relu"])),
        "bias_std": draw(st.sampled_from([None, 0.0, 0.25])),
    }
    if draw(st.booleans()):
        options["widths"] = draw(st.lists(st.integers(1, 5), min_size=2, max_size=9))
    else:
        options["depth"], options["width"] = draw(st.integers(1, 8)), draw(st.integers(1, 40))
        options["input_width"] = draw(st.sampled_from([None, 3]))
    size = draw(st.sampled_from(["", "", "weight_gain", "weight_std"]))
    if size:
        options[size] = draw(st.sampled_from([0.0, 0.5, 1.5]))
    return Stack.build(draw(st.sampled_from(NAMES)), **options)
