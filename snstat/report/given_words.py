"""A network whose weights are given, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from snstat.activation import display_name
from snstat.report.numbers import plain
from snstat.report.words import count

if TYPE_CHECKING:
    from snstat.results import NetworkSummary, Run, Simulation

# Characters of a digest that are shown: "sha256:" and eight digits.
DIGEST_SHOWN = 15
LINEAR = "identity"
DRAWN = ("normal", "uniform")


def activations_of(network: NetworkSummary) -> dict[str, Any]:
    """Return the activation of all layers, and that of the last one if it is another."""
    first, last = (network.form["layers"][place]["activation"] for place in (0, -1))
    return {"activation": first, "last": None if last == first else last}


def last_words(activation: str) -> str:
    """Return what is said of a last layer with another activation than the others."""
    return "linear read-out" if activation == LINEAR else f"last layer {display_name(activation)}"


def weights_parts(network: NetworkSummary) -> Iterator[str]:
    """Yield what is said of activations and weights: "SELU", "linear read-out", "weights given
    (sha256:1d36ac41…)"; nothing of a network that is drawn."""
    if network.weights is None:
        return
    own = activations_of(network)
    yield display_name(own["activation"])
    if own["last"] is not None:
        yield last_words(own["last"])
    yield f"weights given ({network.weights.digest[:DIGEST_SHOWN]}…)"


def ensemble_sentence(run: Run) -> str:
    """Return what the ensemble map says of the last layer beside the unit map, which the table
    shows; empty for weights that are drawn, and where one of the two says nothing."""
    last = len(run.finite) - 1
    if run.given is None or last < 1:
        return ""
    found = [run.statistics[name].at(last) for name in ("mean", "variance")]
    values = [(column.theory, column.expected) for column in found]
    if any(value is None for pair in values for value in pair):
        return ""
    ensemble, own = (
        " and ".join(
            f"{name} {plain(float(pair[place] or 0.0), 3)}"
            for name, pair in zip(("mean", "variance"), values, strict=True)
        )
        for place in (0, 1)
    )
    return (
        f"Independent weights with these mean squares would give {ensemble} at layer {last}"
        f" (ensemble map); the sums of every unit's own weights give {own} (unit map)."
    )


def trials_words(simulation: Simulation, network: NetworkSummary | None = None) -> str:
    """Return "8 trials", and what is new in each where weights are given."""
    words = count(simulation.trials, "trial")
    if network is None or network.weights is None:
        return words
    return f"{words} (new {'inputs' if simulation.inputs in DRAWN else 'samples of the data'} each)"
