"""What a run or a check is of: a uniform stack, a network of any layers, or a traced module."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from snstat.results.base import Record
from snstat.results.network import GivenWeights, NetworkSummary, StackSummary

if TYPE_CHECKING:
    from snstat.results.module import ModuleSummary
    from snstat.results.weights import WeightsSummary

# `subject.what` says which: a record is imported by those who make it.
Subject: TypeAlias = "StackSummary | NetworkSummary | ModuleSummary"


class OfNetwork(Record):
    """A record of something about a network, its `subject`."""

    __slots__ = ()
    subject: Subject | WeightsSummary

    @property
    def stack(self) -> StackSummary | None:
        """The description of the network as a uniform stack, None if it is not one."""
        if isinstance(self.subject, NetworkSummary):
            return self.subject.stack
        return self.subject if isinstance(self.subject, StackSummary) else None

    @property
    def network(self) -> NetworkSummary | None:
        """The description of the network by its layers, None of a stack that has no file, and of a
        traced module."""
        return self.subject if isinstance(self.subject, NetworkSummary) else None

    @property
    def tokens(self) -> int:
        """How many tokens there are, of which layer 0 of a network holds numbers, 0 for others."""
        return 0 if self.network is None else self.network.tokens

    @property
    def given(self) -> GivenWeights | None:
        """The weights of the network where they were given, None where they are drawn."""
        return None if self.network is None else self.network.weights

    @property
    def module(self) -> ModuleSummary | None:
        """The traced module, None of any other network."""
        return self.subject if self.subject.what == "module" else None
