"""Records of `snstat check`: findings and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snstat.results.base import Record
from snstat.results.network import Simulation
from snstat.results.subject import OfNetwork, Subject

if TYPE_CHECKING:
    from snstat.results.weights import WeightsSummary

# The name of a check that has no other name.
DEFAULT_NAME = "default"
# The first words of the notes that say why theory is missing, or why averages do not settle.
NO_THEORY = "no theory"
OF_BATCH_NORM = "batch norm of"
# Words of the note that says what few trials cannot tell.
FEW_TRIALS = "trials detect only large differences"
CHECK_SCHEMA = "snstat.check/1"

# The verdicts that report no problem; the last two are of several widths.
SOUND = ("stable", "self-normalizing", "sound", "undecided", "flat")
# The verdicts, most severe first.
VERDICTS = (
    "non-finite",
    "exploding",
    "vanishing",
    "collapsed",
    "chaotic",
    "gradient-exploding",
    "gradient-vanishing",
    "growing",
    "shrinking",
    *SOUND,
)


@dataclass(frozen=True, slots=True)
class Finding(Record):
    """One broken rule, identified by its `code` and `name`.

    `layer` is the first layer that breaks the rule, `value` the value there and `bound` the bound;
    they are None if the rule has none. `message` is one line that ends in `remedy`. `remedy` is
    empty if no working remedy was found. `path` is the name of the row of a traced module, None of
    any other network.
    """

    code: str
    name: str
    layer: int | None
    value: float | None
    bound: float | None
    message: str
    remedy: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Source(Record):
    """Where a check was declared: a file and its line, counted from 1."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Check(OfNetwork):
    """The judgement of one network, the `subject`: by its layers (`network`), as a uniform `stack`,
    or both; of a traced `module`; or of a file of `weights`, which nothing simulates. Weights
    without problems are "sound".

    `notes` say what could not be judged, and why. `baseline` is the file that the network
    was compared with. `source` is None for a check from the command line.
    """

    name: str
    verdict: str
    findings: tuple[Finding, ...]
    subject: Subject | WeightsSummary
    simulation: Simulation | None
    notes: tuple[str, ...] = ()
    baseline: str | None = None
    source: Source | None = None

    @property
    def weights(self) -> WeightsSummary | None:
        """What the weights are that were judged, None for a network."""
        return self.subject if self.subject.what == "weights" else None

    @property
    def passed(self) -> bool:
        """Whether no rule was broken."""
        return not self.findings
