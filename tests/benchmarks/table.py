"""Write a record of pytest-benchmark as markdown: `table.py RECORD PAGE`."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.benchmarks import cases
from tests.benchmarks.cases import Network, Process

NONE = "—"
Row = TypeVar("Row", Network, Process)
RUNS = {
    "forward": "forward",
    "backward": "forward and backward",
    "propagate": "`snstat.propagate`, theory included",
}
NETWORK_HEAD = ("network", "snstat", "peer", "time", "times faster", "target", "of the floor")
PROCESS_HEAD = ("process", "time", "compared with", "time", "ratio", "target")
NOTES = """\
Networks are SELU with LeCun-normal weights in float32. Every program measures the eight statistics
of every layer. PyTorch draws the weights with `normal_` and numpy with `standard_normal`. Each
program uses all cores. Times are medians of at least {rounds} rounds, in which the programs
alternate. A ratio is the median of the ratios within a round, followed by the lowest and the
highest.

The floor is the time that BLAS alone needs for the symmetric rank-k product and the triangular
product of every layer, plus the time to write the normals once at the memory bandwidth. A backward
pass counts twice that. "Of the floor" is the time of snstat divided by the floor.
[speed.md](speed.md) describes where the time goes and why some targets are out of reach.
"""
MISSED = " (not reached)"
FEWER = "¹ ran fewer layers; times per layer are compared."


def seconds(value: float) -> str:
    """Return a time with three significant digits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1 or unit == "µs":
            return f"{number(value * factor)} {unit}"
    raise AssertionError


def number(value: float) -> str:
    """Return a positive number to three digits, or as a whole number from 100 on."""
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{decimals}f}"


def ratio(over: Sequence[float], under: Sequence[float]) -> str:
    """Return the median, lowest and highest of the ratios within each round."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{number(middle(over, under))} ({number(min(ratios))}–{number(max(ratios))})"


def middle(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def named(table: Sequence[Row], name: str) -> Row:
    """Return the row with this name."""
    return next(row for row in table if row.name == name)


def line(*cells: str) -> str:
    """Return one line of a markdown table."""
    return f"| {' | '.join(cells)} |"


def head(names: Sequence[str]) -> list[str]:
    """Return the first two lines of a markdown table."""
    return [line(*names), line(*("---" for _ in names))]


def work(network: Network) -> str:
    """Describe what a network runs."""
    shape = f"width {network.width:,}, batch {network.batch}, {network.depth:,} layers"
    extras = [RUNS[network.runs]]
    if network.trials > 1:
        extras.append(f"{network.trials} trials")
    if network.sampler == "dense":
        extras.append("weights drawn")
    return ", ".join([shape, *extras])


def network_lines(record: dict[str, Any]) -> Iterator[str]:
    """Yield one line for each peer of a network."""
    network = named(cases.NETWORKS, record["extra_info"]["network"])
    ours, others = record["stats"]["data"], record["extra_info"]["seconds"]
    name, own = work(network), seconds(statistics.median(ours))
    floor = ratio(ours, others["floor"]) if "floor" in others else NONE
    for peer, (layers, times) in network.peers.items():
        if peer in others:
            fewer = layers < network.depth * network.trials
            takes = seconds(statistics.median(others[peer])) + (" ¹" if fewer else "")
            reach = NONE if times is None else f"≥ {times:,}"
            if times is not None and middle(others[peer], ours) < times:
                reach += MISSED
            cells = (name, own, peer, takes, ratio(others[peer], ours), reach, floor)
            yield line(*cells)
    if network.of_floor is not None:
        takes = seconds(statistics.median(others["floor"]))
        missed = middle(ours, others["floor"]) > network.of_floor
        reach = f"≤ {network.of_floor} of the floor" + MISSED * missed
        yield line(name, own, "floor", takes, NONE, reach, floor)


def process_line(record: dict[str, Any]) -> str:
    """Return the line of a process or of another measurement that needs its own process."""
    extra, ours = record["extra_info"], record["stats"]["data"]
    own = seconds(statistics.median(ours))
    if "process" in extra:
        process = named(cases.PROCESSES, extra["process"])
        beside = extra["seconds"]["beside"]
        takes = seconds(statistics.median(beside))
        program, other = f"`{process.program}`", f"`{process.beside}`"
        reach = f"< {process.below}" + MISSED * (middle(ours, beside) >= process.below)
        return line(program, own, other, takes, ratio(ours, beside), reach)
    if "arrays" in extra:
        what = f"peak memory, width {cases.MEMORY_WIDTH:,}, batch {cases.MEMORY_BATCH}"
        reach = f"≤ {cases.MEMORY_BELOW}" + MISSED * (extra["arrays"] > cases.MEMORY_BELOW)
        arrays = number(extra["arrays"])
        return line(what, NONE, "one float32 array of batch × width", NONE, arrays, reach)
    if "pairs" in extra:
        limited, free = zip(*extra["pairs"], strict=True)
        takes = [seconds(statistics.median(values)) for values in (limited, free)]
        variables = " ".join(f"{name}={value}" for name, value in cases.THREAD_VARIABLES.items())
        return line(
            f"default run, `{variables}`",
            takes[0],
            "no variable set",
            takes[1],
            ratio(limited, free),
            "about 1",
        )
    missed = statistics.median(ours) >= cases.COMPILE_BELOW
    reach = f"< {cases.COMPILE_BELOW:.0f} s" + MISSED * missed
    return line("first run, kernels compiled", own, NONE, NONE, NONE, reach)


def machine(record: dict[str, Any]) -> str:
    """Return the sentence that states machine, versions and date."""
    found = record["machine_info"]["snstat"]
    versions = ", ".join(f"{name} {value}" for name, value in found["versions"].items())
    where = f"{found['processor']}, {found['cores']} cores, load {found['load']:.1f} at the start"
    return f"Measured on {record['datetime'][:10]}: {where}; {versions}."


def write(record: dict[str, Any], page: Path) -> None:
    """Write the page of both tables."""
    networks = [r for r in record["benchmarks"] if "network" in r["extra_info"]]
    others = [r for r in record["benchmarks"] if "network" not in r["extra_info"]]
    rows = [row for r in networks for row in network_lines(r)]
    rounds = min((len(r["stats"]["data"]) for r in networks), default=0)
    parts = ["# Benchmarks", "", "Written by `make bench`.", machine(record), ""]
    parts += [*head(NETWORK_HEAD), *rows, "", FEWER, ""]
    parts += [*head(PROCESS_HEAD), *map(process_line, others), "", NOTES.format(rounds=rounds)]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    source, page_path = map(Path, sys.argv[1:])
    write(json.loads(source.read_text("utf-8")), page_path)
