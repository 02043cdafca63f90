"""The modules of a module of Flax NNX: their names, and their calls."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flax import nnx

from snstat.sources.calls.framework import Part, Seen


def named(model: Any) -> dict[int, tuple[Any, Part]]:
    """Return all modules that can be called, by their identity."""
    modules = [(".".join(map(str, path)), module) for path, module in nnx.iter_modules(model)]
    inner = {path.rpartition(".")[0] for path, _ in modules} | {""}
    found = {}
    for path, module in modules:
        if callable(module):
            kind = type(module).__name__
            contains = len(modules) > 1 if not path else path in inner
            found[id(module)] = module, Part(path or kind, kind, contains=contains)
    return found


@contextmanager
def swapped_calls(
    model: Any, seen: Seen | None, after: Callable[[Part, Any, Any], Any]
) -> Iterator[None]:
    """See the calls of the modules of a model, for a while; `after` returns what they return."""
    parts = named(model)
    within: list[Any] = []
    # All are read before one is changed, because classes inherit calls of each other.
    originals = {type(module): type(module).__call__ for module, _ in parts.values()}
    own = {kind: kind.__dict__.get("__call__") for kind in originals}

    def swapped(original: Any) -> Any:
        @functools.wraps(original)
        def call(module: Any, *args: Any, **named: Any) -> Any:
            # A class that calls that of its parent makes one call.
            if id(module) not in parts or (within and within[-1] is module):
                return original(module, *args, **named)
            _, part = parts[id(module)]
            within.append(module)
            if seen is not None:
                seen.before(part)
            try:
                output = original(module, *args, **named)
            except BaseException:
                if seen is not None:
                    seen.failed()
                raise
            finally:
                within.pop()
            return after(part, [args, named], output)

        return call

    try:
        for kind, original in originals.items():
            kind.__call__ = swapped(original)
        yield
    finally:
        for kind, before in own.items():
            if before is None:
                del kind.__call__
            else:
                kind.__call__ = before
