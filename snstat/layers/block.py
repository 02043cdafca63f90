"""A block: layers in order, repeated with fresh weights each time."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, replace
from typing import Any, ClassVar, Self

from snstat.layers.container import Container
from snstat.layers.entry import Entries, Entry, evaluated
from snstat.limits import MAX_DEPTH
from snstat.values.kinds import Whole
from snstat.values.option import option


@dataclass(frozen=True)
class Block(Container):
    """Layers in order, `times` over, with fresh weights each time.

    It is never unrolled: theory stops where the state repeats.
    Source: arXiv:1611.01232.
    """

    kind: ClassVar[str] = "block"

    entries: tuple[Entry, ...] = option(Entries(), "The layers.", default=MISSING)
    times: int | None = option(
        Whole(1, MAX_DEPTH),
        "Repetitions, each with its own weights. Where it is written, the number of the repetition"
        " is part of the names of layers, even if there is only one.",
        shown="1",
    )

    @property
    def parts(self) -> tuple[Entry, ...]:
        """See Container."""
        return self.entries

    def evaluated(self) -> Self:
        """See Layer."""
        return replace(self, entries=evaluated(self.entries))

    def turned(self, knob: str, value: Any) -> Self | None:
        """See Layer. A knob of the layers within turns all that have it."""
        if knob == "times":
            return super().turned(knob, value)
        turned = [entry.layer.turned(knob, value) for entry in self.parts]
        if all(layer is None for layer in turned):
            return None
        entries = tuple(
            entry if layer is None else replace(entry, layer=layer)
            for entry, layer in zip(self.parts, turned, strict=True)
        )
        return replace(self, entries=entries)
