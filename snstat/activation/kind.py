"""Activations as values of options."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from snstat.activation.lookup import resolve
from snstat.activation.table import ACTIVATIONS
from snstat.values.kinds import Kind


class ActivationName(Kind):
    """The name or alias of an activation, with its parameter after a colon, or in Python a pair of
    functions."""

    name = "name"

    def check(self, name: str, value: Any) -> str:
        """See Kind."""
        return resolve(value, name).name

    def names(self) -> Collection[str]:
        """See Kind."""
        return ACTIVATIONS
