"""Is self-normalisation proven for these weights? SN601."""

from __future__ import annotations

from snstat.checks.case import Case
from snstat.checks.remedies import gains
from snstat.checks.rule import Broken, Rule

# Square sums of weights in the domain of the SNN paper's theorem 1, arXiv:1706.02515.
THEOREM_1 = (0.95, 1.1)


def leaves_theorems(case: Case) -> Broken | None:
    """Return the square sum of SELU's weights where theorem 1 does not cover it."""
    if case.stack.activation != "selu":
        return None
    low, high = THEOREM_1
    layers: list[tuple[int | None, float]] = [(None, case.layer.square_gain)]
    if case.stack.runs:  # each has weights of its own
        hidden = (part for part in case.stack.segments() if part[2].activation == "selu")
        layers = [(first, layer.square_gain) for first, _, layer in hidden]
    for number, square in layers:
        if not low <= square <= high:
            of = "" if number is None else f" of layer {number}"
            text = (
                f"weights{of} have square sum {square:.4g} ({case.stack.init}), outside the"
                f" {low:g} to {high:g} for which the SNN paper's theorem 1 is proven"
            )
            return Broken(number, square, low if square < low else high, text)
    return None


RULES = (
    Rule(
        "SN601",
        "outside-theorems",
        "SELU's weights leave the domain of the SNN paper's theorem 1",
        leaves_theorems,
        None,
        (gains,),
    ),
)
