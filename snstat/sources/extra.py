"""Packages that snstat needs only for networks of other frameworks."""

from __future__ import annotations

from importlib.util import find_spec

from snstat.errors import SnstatError


def require_torch() -> None:
    """Raise SnstatError with what to install if torch is missing."""
    if find_spec("torch") is None:
        raise SnstatError("tracing a module needs torch: pip install 'snstat[torch]'")
