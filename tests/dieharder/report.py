"""Run all tests of dieharder on every stream and keep its reports: `make test-random`.

A result is WEAK where p < 0.005 or p > 0.995. A perfect generator gets two or three of these in 114
results (weak.py). Such a test is repeated with five times as many samples, at least 100, from a
fresh part of the same stream, and once more if it is still in doubt. The report contains all
results.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.dieharder.streams import STREAMS

FOLDER = Path("docs/dieharder")
MORE = 5
# With fewer samples dieharder's assessment is unreliable: a quarter of all sets of 5 are WEAK.
FEW = 100
# A whole run reads fewer than 2**36 blocks.
FRESH = (2**40, 2**41)
# From dieharder itself: "completely useless in every sense of the word" (-d diehard_sums -h).
BROKEN = {"diehard_sums"}


class Result(NamedTuple):
    """One line of a report."""

    test: str
    ntuple: int
    samples: int
    p_value: float
    assessment: str

    @property
    def options(self) -> tuple[str, ...]:
        """Return the options that run this test alone, with more samples."""
        # Tests of other names choose their tuples themselves.
        ntuple = ("-n", str(self.ntuple)) if self.test.startswith("rgb_") else ()
        samples = MORE * self.samples if self.samples >= FEW else FEW
        # Exact p-values for any number of samples.
        return ("-d", self.test, *ntuple, "-p", str(samples), "-k", "1")


def results(text: str) -> Iterator[Result]:
    """Yield the results in a report."""
    for line in text.splitlines():
        match [part.strip() for part in line.split("|")]:
            case [test, ntuple, _, samples, p_value, assessment] if ntuple.isdecimal():
                yield Result(test, int(ntuple), int(samples), float(p_value), assessment)


def dieharder(stream: str, options: tuple[str, ...], first: int, path: Path) -> str:
    """Run dieharder, append its report to the file `path`, and return it."""
    source = ["-m", "tests.dieharder.streams", stream, "--first", str(first)]
    title = " ".join(["python", *source, "|", "dieharder", "-g", "200", *options]) + "\n"
    with path.open("a+", encoding="utf-8") as report:
        start = report.tell()
        report.write(title)
        report.flush()
        with subprocess.Popen([sys.executable, *source], stdout=subprocess.PIPE) as words:
            command = ["dieharder", "-g", "200", *options]
            subprocess.run(command, stdin=words.stdout, stdout=report, check=True)
            words.terminate()
        report.seek(start)
        return report.read()


def repeat_doubtful(stream: str, text: str, path: Path) -> list[Result]:
    """Repeat each test that did not pass, and once more if still in doubt; return the failures."""
    still = list(results(text))
    for first in FRESH:
        doubtful = {found.options: None for found in still if found.assessment != "PASSED"}
        still = [
            found
            for options in doubtful
            for found in results(dieharder(stream, options, first, path))
        ]
    return [found for found in still if found.assessment == "FAILED" and found.test not in BROKEN]


def main() -> int:
    if shutil.which("dieharder") is None:
        sys.stderr.write("dieharder is not installed; try: apt-get install dieharder\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    failed = []
    for stream in STREAMS:
        # A report replaces the last one when it is complete.
        part = FOLDER / f"{stream}.part"
        part.unlink(missing_ok=True)
        text = dieharder(stream, ("-a",), 0, part)
        failed += repeat_doubtful(stream, text, part)
        part.replace(FOLDER / f"{stream}.txt")
    sys.stderr.writelines(f"failed twice: {found}\n" for found in failed)
    return min(len(failed), 1)


if __name__ == "__main__":
    sys.exit(main())
