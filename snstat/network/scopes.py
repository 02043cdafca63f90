"""Names of layers that a layer may start from, in its own container and in those around it."""

from __future__ import annotations

from dataclasses import dataclass, field

from snstat.layers.keys import INPUT, PREVIOUS


@dataclass(eq=False)
class Scope:
    """The layers of a container that are known so far: their `numbers` by name, and those `outside`
    that its layers start from, by the scope and their number there.

    `around` is the scope of the container that it is in.
    """

    around: Scope | None = None
    numbers: dict[str, int] = field(default_factory=lambda: {INPUT: 0})
    outside: list[tuple[Scope, int]] = field(default_factory=list)

    def find(self, name: str) -> int | None:
        """Return the number of the layer of a name, that of the nearest container around that has
        one before it: from -1 down for a layer outside. None for no such layer."""
        if name in self.numbers:
            return self.numbers[name]
        scope = self.around
        while scope is not None and (name not in scope.numbers or name in (INPUT, PREVIOUS)):
            scope = scope.around
        return None if scope is None else self.number_of(scope, scope.numbers[name])

    def number_of(self, scope: Scope, number: int) -> int:
        """Return the number that the layer with this `number` of a `scope` has here."""
        if scope is self:
            return number
        if (scope, number) not in self.outside:
            self.outside.append((scope, number))
        return -1 - self.outside.index((scope, number))

    def names(self) -> list[str]:
        """Return all names that `find` knows."""
        around = self.around.names() if self.around is not None else []
        known = [name for name in around if name not in (INPUT, PREVIOUS)]
        return list(dict.fromkeys([*self.numbers, *known]))
