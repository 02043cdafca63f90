"""Kinds of layers for tests of sampling alone."""

from __future__ import annotations

from snstat.layers.layer import Layer
from snstat.layers.no_theory import NoTheory


class Untold(Layer):
    """A kind without theory."""

    def moments(self, inputs, batch):  # noqa: ARG002  # as the protocol
        """See Layer."""
        return NoTheory("nobody asks")
