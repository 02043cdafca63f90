"""Measure what `snstat check` promises: its false alarms and its power. Writes docs/check-power.md.

    python -m tests.power.measure [CHECKS_OF_THE_DEFAULT CHECKS_OF_OTHERS]

Every repetition draws its own networks twice, as a baseline and as the run that is compared with
it. False alarms are counted for stacks that did not change, and those of SN501 in every run;
misses for stacks that did.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scipy.stats import beta

from snstat import __version__, propagate
from snstat.checks.baseline import compare
from snstat.checks.bounds import Bounds
from snstat.checks.chance import disagrees
from snstat.checks.request import Request
from snstat.results import Run
from tests.power.narrow import NARROW, alarms

REPETITIONS = (1000, 300)
# As many times the checks of the default tell a power of 99.5 % from one below 99 %.
MORE_OF_CLOSE = 3
# Of narrow ones, which take milliseconds.
MORE_OF_NARROW = 3
PAGE = Path(__file__).parents[2] / "docs" / "check-power.md"
# A bound that holds with this probability.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Slip:
    """A change that should be found: what the stack was, and what it became.

    `close` ones are missed now and then, so that it takes more checks to bound how often.
    """

    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    close: bool = False


SELU = {"activation": "selu"}
# Stacks that did not change.
STEADY: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("the default: SELU, 64 layers of 1024", SELU),
    ("SELU with gradients", {**SELU, "backward": True}),
    ("ReLU", {"activation": "relu"}),
    ("tanh, gain 1.2", {"activation": "tanh", "weight_gain": 1.2}),
    ("GELU, gain 1.534, 16 layers", {"activation": "gelu", "weight_gain": 1.534, "depth": 16}),
)
SLIPS = (
    Slip("2 % more weight gain", SELU, {**SELU, "weight_gain": 1.02}),
    Slip("2 % less weight gain", SELU, {**SELU, "weight_gain": 0.98}),
    Slip(
        "2 % more weight gain, ReLU",
        {"activation": "relu"},
        {"activation": "relu", "weight_gain": 1.02 * 2**0.5},
        close=True,
    ),
    Slip(
        "2 % more weight gain, tanh",
        {"activation": "tanh"},
        {"activation": "tanh", "weight_gain": 1.02},
    ),
    # jax.nn.initializers and others divide by this; where it is forgotten, weights are too small.
    Slip("a truncated normal uncorrected", SELU, {**SELU, "weight_gain": 0.87962566103423978}),
    Slip("PyTorch's default in place of LeCun", SELU, {**SELU, "init": "torch_default"}),
    Slip("PyTorch's SELU gain 3/4 in place of 1", SELU, {**SELU, "weight_gain": 0.75}),
    Slip("He in place of LeCun", SELU, {**SELU, "init": "he_normal"}),
    Slip("ELU in place of SELU", SELU, {"activation": "elu", "init": "lecun_normal"}),
    Slip("SiLU in place of GELU", {"activation": "gelu"}, {"activation": "silu"}),
)


class Seeds:
    """Seeds that no two runs share."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)

    def run(self, options: Mapping[str, Any]) -> Run:
        """Return a run with the next seed."""
        return propagate(**options, seed=next(self.numbers))


def disagrees_with_theory(run: Run) -> bool:
    """Return whether SN501 accuses a run."""
    return disagrees(Request.build({}, saved=run).case(run)) is not None


def upper_bound(events: int, repetitions: int) -> float:
    """Return the largest rate that `events` in `repetitions` leave likely (Clopper, Pearson)."""
    if events == repetitions:
        return 1.0
    return float(beta.ppf(CONFIDENCE, events + 1, repetitions - events))


def false_alarms(of_default: int, of_others: int) -> Iterator[str]:
    """Yield a row for each stack that did not change."""
    seeds = Seeds()
    for number, (name, options) in enumerate(STEADY):
        repetitions = of_others if number else of_default
        drifts = disagreements = 0
        for _ in range(repetitions):
            run, baseline = seeds.run(options), seeds.run(options)
            drifts += compare(run, baseline, Bounds().min_effect) is not None
            disagreements += disagrees_with_theory(run)
        cells = [f"{count} (≤ {upper_bound(count, repetitions):.1%})"
                 for count in (drifts, disagreements)]  # fmt: skip
        yield row([name, f"{repetitions:,}", *cells])


def narrow_alarms(repetitions: int) -> Iterator[str]:
    """Yield a row for each narrow stack that did not change."""
    for name, options in NARROW:
        count = alarms(options, repetitions)
        cell = f"{count} (≤ {upper_bound(count, repetitions):.1%})"
        yield row([name, f"{repetitions:,}", cell])


def misses(of_close: int, of_others: int) -> Iterator[str]:
    """Yield a row for each change."""
    seeds = Seeds()
    for slip in SLIPS:
        repetitions = of_close if slip.close else of_others
        missed = 0
        for _ in range(repetitions):
            run, baseline = seeds.run(slip.after), seeds.run(slip.before)
            missed += compare(run, baseline, Bounds().min_effect) is None
        power = 1.0 - upper_bound(missed, repetitions)
        yield row([slip.name, f"{repetitions:,}", str(missed), f"≥ {power:.2%}"])


def row(cells: list[str]) -> str:
    """Return one line of a markdown table."""
    return "| " + " | ".join(cells) + " |\n"


def page(of_default: int, of_others: int) -> Iterator[str]:
    """Yield the page in pieces, as they are measured."""
    yield "# False alarms and power of `snstat check`\n\n"
    today = datetime.now(UTC).date()
    yield f"Written by `make power` on {today}, snstat {__version__}, with the options' defaults\n"
    yield "(8 trials, width 1024, batch 64, depth 64) unless a row says otherwise. Bounds in\n"
    yield f"brackets hold with {CONFIDENCE:.0%} confidence (Clopper, Pearson).\n\n"
    yield "## False alarms\n\nRuns of unchanged stacks, each compared with another one.\n\n"
    yield row(["stack", "checks", "SN701 (baseline)", "SN501 (theory)"])
    yield row(["---", "---:", "---:", "---:"])
    yield from false_alarms(of_default, of_others)
    yield "\n### Narrow networks and small batches\n\nTrials are skewed there.\n\n"
    yield row(["stack", "checks", "SN501 (theory)"])
    yield row(["---", "---:", "---:"])
    yield from narrow_alarms(MORE_OF_NARROW * of_default)
    yield "\n## Power\n\nRuns of changed stacks, each compared with one from before the change.\n\n"
    yield row(["change", "checks", "missed", "power"])
    yield row(["---", "---:", "---:", "---:"])
    yield from misses(MORE_OF_CLOSE * of_default, of_others)


def main() -> None:
    """Measure, show the page as it grows, and write it."""
    repetitions = [int(argument) for argument in sys.argv[1:]] or REPETITIONS
    pieces = []
    for piece in page(*repetitions):
        pieces.append(piece)
        print(piece, end="", flush=True)  # noqa: T201  # minutes pass between rows
    PAGE.write_text("".join(pieces), encoding="utf-8")


if __name__ == "__main__":
    main()
