"""All rules of files of weights, by code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snstat.checks.weights_initialisers import (
    default_under_selu,
    other_initialiser,
    uncorrected,
)
from snstat.checks.weights_rule import WeightsRule
from snstat.checks.weights_values import dead_row, not_finite

# They look at no network.
WEIGHTS_RULES: Mapping[str, WeightsRule] = MappingProxyType(
    {
        rule.code: rule
        for rule in (not_finite, dead_row, other_initialiser, uncorrected, default_under_selu)
    }
)
