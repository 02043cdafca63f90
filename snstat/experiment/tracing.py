"""`snstat.tracing`: what a module does within the user's own code, as a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from snstat.errors import SnstatError
from snstat.experiment.trace import axes_of, dtype_of
from snstat.experiment.trace_settings import TraceSettings
from snstat.experiment.traced import traced_run
from snstat.results import Run


class Tracing:
    """Measures what a PyTorch module does within a `with` block.

    ```python
    with snstat.tracing(model) as t:
        loss(model(x), y).backward()
    t.run["layer1.relu"].dead_fraction.estimate
    ```

    Nothing of the module is changed: no random number is drawn, and nothing is run again. After the
    block, `t.run` is a run of one trial, with the gradients that `backward` sent back, over those
    of the module's output, of its last call if there are several. Hooks are taken away whatever is
    raised within; copies of the module that are made within are not traced. What `torch.compile`
    has compiled before runs eagerly within the block, and compiled again after it.

    `batch` is the number of samples, by default the first size of the first tensor of each call of
    the module, or of the first call of a part of it if that is called instead. `only`, `leaves` and
    `axes` are as in `snstat.trace`; axes follow from the kinds of modules.

    Raises SnstatError without PyTorch, for anything but a `torch.nn.Module`, and for `run` where
    the module was not called.
    """

    def __init__(
        self,
        module: Any,
        *,
        batch: int | None = None,
        only: str | Sequence[str] = (),
        leaves: bool = False,
        axes: Mapping[str, str] | Sequence[str] | None = None,
    ) -> None:
        from snstat.sources.extra import require_torch

        require_torch()
        from snstat.sources.torch.tracing import Watched

        given: dict[str, Any] = {"only": only, "leaves": leaves, "axes": axes or ()}
        settings = TraceSettings(batch=batch, **given)
        self._watched = Watched(
            module,
            batch=settings.batch,
            only=settings.only,
            leaves=leaves,
            axes=axes_of(settings),
        )
        self._run: Run | None = None
        self._ended = False

    def __enter__(self) -> Self:
        if self._ended:
            raise SnstatError("a trace is over; make another with snstat.tracing")
        self._watched.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        self._watched.stop()
        self._ended = True

    @property
    def run(self) -> Run:
        """The run of one trial. Raises SnstatError within the block, and if nothing was called."""
        if not self._ended:
            raise SnstatError("a trace has no run before the end of its block")
        if self._run is None:
            traced = self._watched.traced()
            dtype = dtype_of(traced.summary)
            self._run = traced_run(traced, seed=None, dtype=dtype)
        return self._run
