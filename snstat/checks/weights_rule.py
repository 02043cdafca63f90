"""Rules of files of weights: what they look at, and how one is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from snstat.activation import Activation
from snstat.checks.rule import Page
from snstat.errors import escaped, printable
from snstat.results import TensorWeights, Weights

MOST_OF_A_NAME = 60


@dataclass(frozen=True, slots=True)
class WeightsCase:
    """Weights, and what they are declared to be: the activation of their network, the initialiser
    that drew them, and the schemes that fitted each tensor of a baseline. None, or nothing, where
    nobody says."""

    weights: Weights
    activation: Activation | None = None
    init: str | None = None
    baseline: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Flaw:
    """How weights break a rule: the `value` seen, the `bound`, in words, and what to try."""

    value: float | None
    bound: float | None
    text: str
    remedy: str


Look = Callable[[WeightsCase], Flaw | None]


@dataclass(frozen=True, slots=True)
class WeightsRule(Page):
    """One rule of files of weights, called with a case."""

    look: Look
    verdict: str | None = None

    def __call__(self, case: WeightsCase) -> Flaw | None:
        """Return how a case breaks the rule, None if it does not."""
        return self.look(case)


def weights_rule(
    code: str, name: str, *, verdict: str | None = None
) -> Callable[[Look], WeightsRule]:
    """Make the rule `code` of the function below, which looks at weights, and of its docstring."""
    return lambda look: WeightsRule(code, name, look, verdict)


def named(tensors: Iterable[TensorWeights]) -> str:
    """Return "fc1.weight", or "fc1.weight and 3 others"."""
    first, *others = [printable(escaped(tensor.name), MOST_OF_A_NAME) for tensor in tensors]
    if not others:
        return first
    return f"{first} and {len(others):,} other{'s' * (len(others) > 1)}"
