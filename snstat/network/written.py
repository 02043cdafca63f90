"""What a network was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Written:
    """Plain data that describe a network, as TOML and JSON hold them, and the `changes` of their
    parameters. `file` is whether they are those of a network file."""

    form: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    file: bool = False
