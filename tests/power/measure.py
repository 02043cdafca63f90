"""Measure the false alarms and the power of `snstat check`. Writes docs/check-power.md.

    python -m tests.power.measure [CHECKS_OF_THE_DEFAULT CHECKS_OF_OTHERS]

Every repetition draws new networks for the baseline and for the run compared with it. False alarms
of SN701 and SN501 are counted for unchanged stacks, and misses of SN701 for changed stacks.
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
# Multiple of the default's checks that distinguishes a power of 99.5 % from one below 99 %.
MORE_OF_CLOSE = 3
# The same for narrow networks, which take milliseconds.
MORE_OF_NARROW = 3
PAGE = Path(__file__).parents[2] / "docs" / "check-power.md"
# The bounds hold with this probability.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Slip:
    """A change that should be found: the options before and after it.

    A `close` change is sometimes missed, so more checks are needed to bound how often.
    """

    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    close: bool = False


SELU = {"activation": "selu"}
# Unchanged stacks.
STEADY: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("the default: SELU, 64 layers of 1,024", SELU),
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
    # jax.nn.initializers and others divide by this. Without the division, weights are too small.
    Slip("a truncated normal uncorrected", SELU, {**SELU, "weight_gain": 0.87962566103423978}),
    Slip("PyTorch's default in place of LeCun", SELU, {**SELU, "init": "torch_default"}),
    Slip("PyTorch's SELU gain 3/4 in place of 1", SELU, {**SELU, "weight_gain": 0.75}),
    Slip("He in place of LeCun", SELU, {**SELU, "init": "he_normal"}),
    Slip("ELU in place of SELU", SELU, {"activation": "elu", "init": "lecun_normal"}),
    Slip("SiLU in place of GELU", {"activation": "gelu"}, {"activation": "silu"}),
)


class Seeds:
    """A different seed for every run."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)

    def run(self, options: Mapping[str, Any]) -> Run:
        """Return a run with the next seed."""
        return propagate(**options, seed=next(self.numbers))


def disagrees_with_theory(run: Run) -> bool:
    """Return whether SN501 reports a run."""
    return disagrees(Request.build({}, saved=run).case(run)) is not None


def upper_bound(events: int, repetitions: int) -> float:
    """Return the upper confidence bound of the rate of events (Clopper, Pearson)."""
    if events == repetitions:
        return 1.0
    return float(beta.ppf(CONFIDENCE, events + 1, repetitions - events))


def false_alarms(of_default: int, of_others: int) -> Iterator[str]:
    """Yield a row for each unchanged stack."""
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
    """Yield a row for each unchanged narrow stack."""
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
    """Yield the pieces of the page as they are measured."""
    yield "# False alarms and power of `snstat check`\n\n"
    today = datetime.now(UTC).date()
    yield f"Written by `make power` on {today} with snstat {__version__}. Options have their\n"
    yield "defaults (8 trials, width 1,024, batch 64, depth 64) unless a row differs. Bounds in\n"
    yield f"parentheses have {CONFIDENCE:.0%} confidence (Clopper, Pearson).\n\n"
    yield "## False alarms\n\nRuns of unchanged stacks were compared with each other.\n\n"
    yield row(["stack", "checks", "SN701 (baseline)", "SN501 (theory)"])
    yield row(["---", "---:", "---:", "---:"])
    yield from false_alarms(of_default, of_others)
    yield "\n### Narrow networks and small batches\n\nTheir trials have skewed distributions.\n\n"
    yield row(["stack", "checks", "SN501 (theory)"])
    yield row(["---", "---:", "---:"])
    yield from narrow_alarms(MORE_OF_NARROW * of_default)
    yield "\n## Power\n\nRuns of changed stacks were compared with runs before the change.\n\n"
    yield row(["change", "checks", "missed", "power"])
    yield row(["---", "---:", "---:", "---:"])
    yield from misses(MORE_OF_CLOSE * of_default, of_others)


def main() -> None:
    """Measure, print each piece of the page when it is ready, and write the page."""
    repetitions = [int(argument) for argument in sys.argv[1:]] or REPETITIONS
    pieces = []
    for piece in page(*repetitions):
        pieces.append(piece)
        print(piece, end="", flush=True)  # noqa: T201  # minutes pass between rows
    PAGE.write_text("".join(pieces), encoding="utf-8")


if __name__ == "__main__":
    main()
