"""Speed of networks of any layers beside PyTorch, and what does not grow: `networks.py PAGE`.

All programs measure all statistics of every layer of 8 networks, as a run does by default. PyTorch
runs one of them, and its time is multiplied by 8. Times are medians of five rounds, in which the
programs alternate.
"""

from __future__ import annotations

import statistics
import sys
from importlib.util import find_spec
from pathlib import Path

import snstat
from snstat import layers as L  # noqa: N812  # as the documentation spells it
from snstat.engine.general.sample import sample_network
from snstat.engine.simulate import simulate
from snstat.experiment.inputs import DrawnInputs
from snstat.theory.walk import walk
from tests.benchmarks.side_by_side import alternating
from tests.benchmarks.table import MISSED, head, line, ratio, seconds
from tests.peak import run_alone

# As many trials as a run has by default. PyTorch runs one of them, and its time is multiplied.
BATCH, TRIALS = 64, 8
DEEP = 100_000
# Layers of the runs whose peak memory is compared, at width 64.
SHALLOW, MILLION = 10_000, 1_000_000
MEMORY = """
import resource, sys
import snstat
from snstat import layers as L
from snstat.engine.general.sample import sample_network
from snstat.experiment.inputs import DrawnInputs
block = L.residual(L.Dense(64, "relu"), scale=1e-3)
network = snstat.Network(64, L.repeat(int(sys.argv[1]) // 2, block))
inputs = DrawnInputs("normal", 64, 8, 0.0, 1.0)
found = sample_network(network, inputs, trials=1, seed=0, dtype="float32")
kept = sum(array.nbytes for array in (found.estimate, found.stderr, found.finite))
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, kept)
"""


def networks(narrow, wide):
    """Return the networks by name, with the widths of their layers."""
    ffn = L.residual(L.LayerNorm(), L.Dense(wide, "gelu"), L.Dropout(0.1), L.Dense(narrow))
    normed = L.Dense(narrow), L.BatchNorm(), L.Activation("relu")
    return {
        "mlp": snstat.Network(784, L.chain(L.repeat(8, L.Dense(wide, "relu")), L.Dense(10))),
        "residual": snstat.Network(narrow, L.repeat(12, ffn)),
        "batch_norm": snstat.Network(narrow, L.repeat(24, *normed)),
    }


WIDTHS = 1024, 4096
# Name, words, whether backward, and how many times faster than PyTorch it should be.
ROWS = (
    ("mlp", "MLP 784 → 4,096 × 8 → 10, ReLU, forward", False, 40.0),
    ("residual", "12 × pre-norm residual FFN 1,024 → 4,096, dropout 0.1, forward", False, 20.0),
    ("residual", "12 × pre-norm residual FFN 1,024 → 4,096, dropout 0.1, both ways", True, 8.0),
    ("batch_norm", "24 × (dense 1,024, batch norm, ReLU), forward", False, 15.0),
    ("batch_norm", "24 × (dense 1,024, batch norm, ReLU), both ways", True, 6.0),
)


def of_snstat(network, *, backward):
    source = DrawnInputs("normal", network.input.units, BATCH, 0.0, 1.0)
    options = {"trials": TRIALS, "seed": 0, "dtype": "float32", "backward": backward}
    stack = network.uniform()
    if stack is not None:
        return lambda: simulate(stack, source, sampler="auto", **options)
    return lambda: sample_network(network, source, **options)


def beside_torch():
    from tests.benchmarks.networks_torch import PROGRAMS

    for name, words, backward, target in ROWS:
        peer = PROGRAMS[name](BATCH, *WIDTHS, backward=backward)
        ours, one = alternating(of_snstat(networks(*WIDTHS)[name], backward=backward), peer)
        theirs = [TRIALS * time_of_one for time_of_one in one]
        reached = statistics.median(a / b for a, b in zip(theirs, ours, strict=True)) >= target
        yield line(
            words,
            seconds(statistics.median(ours)),
            seconds(statistics.median(theirs)),
            ratio(theirs, ours),
            f"≥ {target:g}" + MISSED * (not reached),
        )


def beside_dense():
    stack = snstat.Stack.build("relu", depth=32, width=1024)
    source = DrawnInputs("normal", 1024, BATCH, 0.0, 1.0)
    options = {"trials": TRIALS, "seed": 0, "dtype": "float32", "sampler": "dense"}
    general, dense = alternating(
        lambda: sample_network(snstat.Network.of(stack), source, **options),
        lambda: simulate(stack, source, **options),
    )
    share = statistics.median(a / b for a, b in zip(general, dense, strict=True))
    return line(
        "general sampler beside the dense one, 32 layers of 1,024, weights drawn",
        seconds(statistics.median(general)),
        seconds(statistics.median(dense)),
        ratio(general, dense),
        "≤ 1.2" + MISSED * (share > 1.2),
    )


def of_theory():
    network = snstat.Network(1024, L.repeat(DEEP, L.Dense(1024, "selu"), L.RmsNorm()))
    moments = DrawnInputs("normal", 1024, BATCH, 0.0, 1.0).moments()
    (times,) = alternating(lambda: walk(network, BATCH, moments))
    own = statistics.median(times)
    words = f"theory of a block repeated {DEEP:,} times"
    return line(words, seconds(own), "—", "—", "≤ 0.1 s" + MISSED * (own > 0.1))


def of_memory():
    (shallow, _), (deep, kept) = (
        map(int, run_alone("-c", MEMORY, str(depth), check=True).stdout.split())
        for depth in (SHALLOW, MILLION)
    )
    grown, own = (deep - shallow) / (MILLION - SHALLOW), kept / MILLION
    words = f"peak memory, {MILLION:,} residual layers of width 64, forward, statistics kept"
    return line(
        words,
        f"{deep / 2**20:,.0f} MiB",
        f"{shallow / 2**20:,.0f} MiB ¹",
        f"{grown:,.0f} bytes a layer, {own:,.0f} of them statistics",
        "statistics and a copy of them" + MISSED * (grown > 2.25 * own),
    )


def main(page):
    columns = ("network", "snstat", "PyTorch or other", "ratio", "target")
    parts = ["# Benchmarks of networks", "", "Written by `make bench`.", "", *head(columns)]
    parts += beside_torch() if find_spec("torch") else []
    parts += [beside_dense(), of_theory(), of_memory(), "", f"¹ {SHALLOW:,} layers.", ""]
    parts += [__doc__.partition("\n\n")[2].strip(), ""]
    page.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
