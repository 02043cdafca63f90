"""Packages that snstat needs only for networks of other frameworks."""

from __future__ import annotations

from importlib.util import find_spec

from snstat.errors import SnstatError


def require_torch() -> None:
    """Raise SnstatError with what to install if torch is missing."""
    require("a module", "torch", "torch")


def require(what: str, extra: str, *packages: str) -> None:
    """Raise SnstatError with the `extra` that brings `packages`, if one of them is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise SnstatError(f"tracing {what} needs {package}: pip install 'snstat[{extra}]'")
