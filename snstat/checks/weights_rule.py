"""Rules of files of weights: what they look at, and how one is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from snstat.activation import Activation
from snstat.checks.rule import Page
from snstat.errors import name_words
from snstat.results import TensorWeights, Weights


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


def first_row(tensors: Sequence[TensorWeights], row: int) -> str:
    """Return "row 7 of fc1.weight" for the first of some tensors."""
    return f"row {row} of {name_words(tensors[0].name)}"


def such_rows(tensors: Sequence[TensorWeights], rows: int) -> str:
    """Return ", the first of 9 such rows in 2 matrices", and nothing for a single row."""
    if rows == 1:
        return ""
    matrices = f" in {len(tensors):,} matrices" if len(tensors) > 1 else ""
    return f", the first of {rows:,} such rows{matrices}"


def named(tensors: Iterable[TensorWeights]) -> str:
    """Return "fc1.weight", or "fc1.weight and 3 others"."""
    first, *others = [name_words(tensor.name) for tensor in tensors]
    if not others:
        return first
    return f"{first} and {len(others):,} other{'s' * (len(others) > 1)}"
