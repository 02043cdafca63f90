"""Records of `snstat check`: what was found, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.results.base import Record
from snstat.results.network import Simulation, StackSummary

# The check of a stack that nobody has named.
DEFAULT_NAME = "default"
CHECK_SCHEMA = "snstat.check/1"

# What a verdict can be, gravest first; the last two are those of a stack without findings.
VERDICTS = (
    "non-finite",
    "exploding",
    "vanishing",
    "collapsed",
    "chaotic",
    "gradient-exploding",
    "gradient-vanishing",
    "stable",
    "self-normalizing",
)


@dataclass(frozen=True, slots=True)
class Finding(Record):
    """One broken rule: its `code` and `name`, where and by how much.

    `layer` is the first offending layer, `value` what was seen there and `bound` what it breaks;
    None where a rule has none. `message` is one line that ends in `remedy`, what to try, which is
    empty where no remedy was found that would work.
    """

    code: str
    name: str
    layer: int | None
    value: float | None
    bound: float | None
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Source(Record):
    """Where a check was declared: a file and its line, counted from 1."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Check(Record):
    """One stack, judged. `notes` say what could not be judged, and why; `baseline` names the file
    that the stack was compared with; `source` is None for a check made on the command line."""

    name: str
    verdict: str
    findings: tuple[Finding, ...]
    stack: StackSummary
    simulation: Simulation
    notes: tuple[str, ...] = ()
    baseline: str | None = None
    source: Source | None = None

    @property
    def passed(self) -> bool:
        """Whether no rule was broken."""
        return not self.findings
