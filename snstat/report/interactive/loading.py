"""Loading of bokeh, which is optional."""

from __future__ import annotations

from snstat.errors import SnstatError


def load_bokeh() -> None:
    """Import bokeh. Raise SnstatError without it."""
    try:
        import bokeh.plotting  # noqa: F401
    except ImportError:
        raise SnstatError(
            "HTML needs bokeh: pip install 'snstat[html]'; or use -o FILE.svg"
        ) from None
