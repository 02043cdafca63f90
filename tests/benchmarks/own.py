"""Speed of `snstat trace` and `snstat weights`, beside what they cannot do without: `own.py PAGE`.

A trace is a step within `snstat.tracing`, all statistics of all calls, and its record. It is
compared with the same step without it. Times are medians of five rounds, in which the programs
alternate. PyTorch uses all cores. The kernel of statistics runs on one core.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

import snstat
from snstat.engine.tensor import MEASURED_OF_TENSORS, measure
from tests.benchmarks.own_models import BATCH, models
from tests.benchmarks.side_by_side import alternating
from tests.benchmarks.table import MISSED, head, line, number, ratio, seconds
from tests.engine import tensor_oracle
from tests.peak import number_of
from tests.sources.files import safetensors

MOST = {"forward": 2.0, "both ways": 1.3}
# Words, shape, roles of the axes, and billions of values a second.
ARRAYS = (
    ("64 × 1,024", (64, 1024), "SU", 1.5),
    ("8 × 197 × 768, tokens", (8, 197, 768), "SPU", 1.5),
    ("8 × 12 × 197 × 197, attention", (8, 12, 197, 197), "SPPU", 1.5),
    ("8 × 64 × 112 × 112, channels first", (8, 64, 112, 112), "SUPP", 1.0),
)
# As many values are measured in a row.
VALUES = 20_000_000
ERROR = 1e-12
MODULES, TRACER_SECONDS = 10_000, 2.0
# Square matrices of float32: 604 MB.
MATRICES, ROWS, FILE_SECONDS = 36, 2048, 2.0
PEAK = """
import resource, sys
import torch
import snstat
from tests.benchmarks.own_models import BATCH, resnet
model = resnet()
def step(size, traced):
    image = torch.randn(BATCH, 3, size, size)
    with torch.no_grad():
        if traced:
            with snstat.tracing(model, batch=BATCH):
                model(image)
        else:
            model(image)
for traced in (False, True):
    step(64, traced)
step(224, sys.argv[1] == "traced")
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def step(model, given, *, backward, traced):
    """Return a function that runs a model forward, and back if asked."""

    def plain():
        model.zero_grad(set_to_none=True)
        with torch.set_grad_enabled(backward):
            found = model(given)
            if backward:
                found.backward(torch.ones_like(found))

    def within():
        with snstat.tracing(model, batch=BATCH) as trace:
            plain()
        return trace.run

    return within if traced else plain


def of_models():
    """Yield a line for each model and direction."""
    for name, (model, given) in models().items():
        for words, most in MOST.items():
            traced, plain = alternating(
                *(
                    step(model, given, backward=words != "forward", traced=own)
                    for own in (True, False)
                )
            )
            share = statistics.median(a / b for a, b in zip(traced, plain, strict=True))
            yield line(
                f"{name}, batch {BATCH}, {words}",
                seconds(statistics.median(traced)),
                seconds(statistics.median(plain)),
                ratio(traced, plain),
                f"≤ {most:g}" + MISSED * (share > most),
            )


def of_kernel():
    """Yield a line for each kind of array."""
    random = np.random.default_rng(0)
    for words, shape, roles, least in ARRAYS:
        values = (3.0 + 0.1 * random.standard_normal(shape)).astype(np.float32)
        calls = max(VALUES // values.size, 1)
        (times,) = alternating(lambda: [measure(values, roles) for _ in range(calls)])  # noqa: B023
        one = statistics.median(times) / calls
        speed = values.size / one / 1e9
        yield line(
            f"statistics of {words}, a core",
            seconds(one),
            "—",
            f"{number(speed)} G values a second",
            f"≥ {least:g}" + MISSED * (speed < least),
        )


def of_error():
    """Return the line of the largest relative error of any statistic, at mean 3 and std 0.1."""
    random, worst = np.random.default_rng(0), 0.0
    for shape, roles in (((16, 300), "SU"), ((4, 20, 60), "SPU"), ((4, 24, 9, 9), "SUPP")):
        values = (3.0 + 0.1 * random.standard_normal(shape)).astype(np.float32)
        _, found = measure(values, roles)
        wanted = tensor_oracle.statistics(values, roles, None)
        for name, value in zip(MEASURED_OF_TENSORS, found, strict=True):
            if not math.isnan(value) and wanted[name]:
                worst = max(worst, abs(float(value / wanted[name]) - 1.0))
    words = "largest relative error of a statistic, mean 3, std 0.1"
    return line(words, f"{worst:.1e}", "—", "—", f"≤ {ERROR:.0e}" + MISSED * (worst > ERROR))


def of_memory():
    """Return the line of the peak memory of a forward run of ResNet-18."""
    traced, plain = (number_of("-c", PEAK, which) for which in ("traced", "plain"))
    largest = 4 * BATCH * 64 * 112 * 112
    return line(
        "peak memory of ResNet-18, forward",
        f"{traced / 2**20:,.0f} MiB",
        f"{plain / 2**20:,.0f} MiB",
        f"{(traced - plain) / 2**20:+,.0f} MiB",
        f"≤ {largest / 2**20:,.1f} MiB, the largest output" + MISSED * (traced - plain > largest),
    )


def of_many_modules():
    """Return the line of a model of many modules, which take no time of their own."""
    model, given = nn.Sequential(*(nn.Identity() for _ in range(MODULES - 1))), torch.randn(2, 4)
    traced, plain = alternating(
        *(step(model, given, backward=False, traced=own) for own in (True, False))
    )
    own = statistics.median(a - b for a, b in zip(traced, plain, strict=True))
    return line(
        f"{MODULES:,} modules",
        seconds(statistics.median(traced)),
        seconds(statistics.median(plain)),
        f"{seconds(own)} more",
        f"≤ {TRACER_SECONDS:g} s" + MISSED * (own > TRACER_SECONDS),
    )


def of_weights():
    """Return the line of a large file of weights."""
    random = np.random.default_rng(0)
    arrays = {
        f"layers.{n}.weight": random.standard_normal((ROWS, ROWS), np.float32) / math.sqrt(ROWS)
        for n in range(MATRICES)
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        path.write_bytes(safetensors(arrays))
        (times,) = alternating(lambda: snstat.weights(path))
        size = path.stat().st_size
    own = statistics.median(times)
    words = f"weights of {size / 1e6:,.0f} MB: {MATRICES} matrices of {ROWS:,}², names and σ max"
    return line(
        words, seconds(own), "—", "—", f"≤ {FILE_SECONDS:g} s" + MISSED * (own > FILE_SECONDS)
    )


def main(page):
    columns = ("what", "snstat", "without it", "ratio", "target")
    parts = ["# Benchmarks of traces and of weights", "", "Written by `make bench`.", ""]
    parts += [*head(columns), *of_models(), *of_kernel(), of_error(), of_memory()]
    parts += [of_many_modules(), of_weights(), "", __doc__.partition("\n\n")[2].strip(), ""]
    page.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
