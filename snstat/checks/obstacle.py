"""Why a rule says nothing of a network."""

from __future__ import annotations

from typing import NamedTuple


class Obstacle(NamedTuple):
    """The reason `why` a rule says nothing of a case.

    One that is `plain` is told only to those who ask for the rule by name: the network has nothing
    that the rule is about, or other notes tell the reason.
    """

    why: str
    plain: bool = False


NO_TARGET = Obstacle("no target is given: use --target-mean and --target-variance", plain=True)
NO_LIMIT = Obstacle("a signal that grows on, or falls to 0, is left to SN101 and SN102", plain=True)
NO_GRADIENTS = "theory does not know the gradients; use --backward"
MEASURED_NONE = "theory does not know the gradients, and those measured are no numbers"
# Traced modules are calls of any code.
OF_FILES = Obstacle("that takes theory or the weights of a network file")
