"""The page about mutants: counts, and those that no test noticed."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Mutants that no test can notice, and why.
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
# The rooms of snstat that are changed.
MUTATED = ("layers", "theory", "checks", "results", "engine")
PAGE = """\
# Mutants

A mutant is the code with one small change: `<=` for `<`, `-` for `+`, a number larger by 1, a
condition negated. Tests that still pass have not noticed. `make mutants` draws changes at random
from all that cosmic-ray proposes for `layers`, `theory`, `checks`, `results` and `engine` (outside
its kernels), runs the tests that execute the changed line, and writes this page. `MUTANTS` is the
number drawn (1,000 by default, which takes hours) and `MUTANTS_SEED` the seed. The program is
`tests/mutants/run.py`.

Tests that take more than half a minute together are left out, the slowest first. So
are those that start processes, those marked `slow`, and those of `cli`, `files`, `report` and
`sources`. A mutant listed here may therefore be noticed by the whole suite.

This page: {count} mutants, seed {seed}. "Noticed" counts killed and timed out mutants, and leaves
out those of equal meaning. Files and lines are those of the day of the run.

{table}

## Survived

{survived}

## Survived, of equal meaning

No test can notice these. The reasons are in `tests/mutants/equivalent.toml`.

{equivalent}
"""


@dataclass(frozen=True)
class Mutant:
    """One change: a file of snstat, its line, and how the line reads before and after."""

    file: str
    line: int
    before: str
    after: str


@cache
def _listed(path):
    """Return why the mutants of the file cannot be noticed, by file and lines."""
    return {
        (entry["file"], entry["before"], entry["after"]): entry["why"]
        for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
    }


def without_meaning(mutant):
    """Return why no test can notice a mutant, or None."""
    return _listed(EQUIVALENT).get((mutant.file, mutant.before, mutant.after))


def report(results, seed, path):
    """Write the counts and the survivors to `path`."""
    rooms = {room: Counter() for room in (*MUTATED, "all")}
    equivalent, survived = [], []
    for entry in results:
        mutant, verdict = Mutant(**entry["mutant"]), entry["verdict"]
        why = without_meaning(mutant)
        if verdict == "survived":
            verdict = "equivalent" if why else "survived"
            shown = f"- `{mutant.file}:{mutant.line}`: `{mutant.before}` → `{mutant.after}`"
            (equivalent if why else survived).append(shown + (f": {why}" if why else ""))
        for room in (mutant.file.split("/")[1], "all"):
            rooms[room][verdict] += 1
    columns = ("killed", "timed out", "survived", "equivalent")
    table = ["| folder | sampled | killed | timed out | survived | of equal meaning | noticed |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for room, counts in rooms.items():
        total = sum(counts.values())
        noticed, judged = counts["killed"] + counts["timed out"], total - counts["equivalent"]
        share = f"{noticed / judged:.0%}" if judged else ""
        cells = " | ".join(str(counts[column]) for column in columns)
        table.append(f"| {room} | {total} | {cells} | {share} |")
    text = PAGE.format(seed=seed, count=len(results), table="\n".join(table),
                       survived="\n".join(sorted(survived)) or "None.",
                       equivalent="\n".join(sorted(equivalent)) or "None.")  # fmt: skip
    path.write_text(text, encoding="utf-8")
