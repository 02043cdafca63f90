"""Speed of the example networks beside PyTorch's own modules: `examples.py PAGE`.

Both programs draw weights and masks of 8 networks, run them, and measure all statistics of every
layer and, both ways, its squared gradient for a random read-out. PyTorch runs one of the networks,
and its time is multiplied by 8. Batches are 8 and 64 samples.

Times are seconds of CPU, of all threads, medians of five rounds in which the programs alternate, so
that other programs of the machine disturb little. PyTorch runs on one thread: on several it takes
more CPU. So a ratio is that of two programs that use all cores equally well. It is the median of
the ratios within a round, followed by the lowest and the highest. Targets are for this median.
"""

from __future__ import annotations

import statistics
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from snstat.engine.general.sample import sample_network
from snstat.experiment.inputs import DrawnInputs, DrawnTokens
from snstat.network.network import Network
from snstat.theory.walk import walk
from tests.benchmarks.side_by_side import alternating
from tests.benchmarks.table import MISSED, head, line, middle, ratio, seconds
from tests.peak import number_of

FOLDER = Path(__file__).parents[2] / "examples" / "networks"
# Networks on grids, over time and with attention, and highway layers.
NAMES = (
    "slicenet", "wavenet", "transformer", "encoder_postnorm", "encoder_prenorm", "unet", "acgan",
    "acgan_critic", "lstm", "gru", "elman", "highway", "resnet", "fast_rcnn_backbone", "snn_conv",
)  # fmt: skip
BATCHES, TRIALS, LEAST = (8, 64), 8, 1.0
# How many times faster what is sampled without its weights should be.
WIDE_TIMES = 10.0


def _residual(*layers):
    return {"kind": "residual", "layers": [{"kind": "layer_norm"}, *layers]}


# Words, batch, input and layers.
WIDE = (
    (
        "4 convolutions of 512 channels, kernel 3, on 4 × 4",
        8,
        {"channels": 512, "grid": [4, 4]},
        [{"kind": "conv", "channels": 512, "kernel": 3, "activation": "relu"}] * 4,
    ),
    (
        "encoder block of width 2,048, 16 heads, 64 tokens",
        1,
        {"channels": 2048, "grid": [64]},
        [
            _residual({"kind": "attention", "heads": 16}),
            _residual(
                {"kind": "dense", "width": 8192, "activation": "relu"},
                {"kind": "dense", "width": 2048},
            ),
        ],
    ),
    (
        "Elman network of width 4,096, 64 steps",
        1,
        {"channels": 4096, "grid": [64]},
        [{"kind": "elman", "width": 4096, "init": "lecun_normal"}],
    ),
)
THEORY, THEORY_SECONDS = ("transformer", "unet"), 2.0
# Steps of the runs of an LSTM whose peak memory is compared, at width 64 and batch 8.
FEW, MANY = 1_000, 10_000
MEMORY = """
import resource, sys
from snstat.engine.general.sample import sample_network
from snstat.experiment.inputs import DrawnInputs
from snstat.network.network import Network
times = int(sys.argv[1])
lstm = {"kind": "lstm", "width": 64, "output": "last"}
network = Network.read({"input": {"channels": 64, "grid": [times]}, "layers": [lstm]})
inputs = DrawnInputs("normal", 64 * times, 8, 0.0, 1.0)
sample_network(network, inputs, trials=1, seed=0, dtype="float32")
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def inputs_of(network, batch):
    """Return normal inputs, or uniform tokens."""
    units, tokens = network.input.units, network.input.tokens
    if tokens:
        return DrawnTokens(units, batch, tokens)
    return DrawnInputs("normal", units, batch, 0.0, 1.0)


def of_snstat(network, batch, *, backward):
    """Return the program of snstat."""
    options = {"trials": TRIALS, "seed": 0, "dtype": "float32", "backward": backward}
    return lambda: sample_network(network, inputs_of(network, batch), **options)


def beside(network, batch, least):
    """Return the cells of one line: both programs, forward and both ways."""
    from tests.benchmarks.examples_torch import Program

    cells, missed = list[str](), False
    for backward in (False, True):
        ours, one = alternating(
            of_snstat(network, batch, backward=backward),
            Program(network, batch, backward=backward),
            clock=time.process_time,
        )
        theirs = [TRIALS * time_of_one for time_of_one in one]
        missed |= middle(theirs, ours) < least
        cells += [*(seconds(statistics.median(own)) for own in (ours, theirs)), ratio(theirs, ours)]
    return [*cells, f"≥ {least:g}" + MISSED * missed]


def of_examples():
    """Yield a line for each example and batch."""
    for name in NAMES:
        network = Network.load(FOLDER / f"{name}.toml")
        for batch in BATCHES:
            yield line(f"{name}, batch {batch}", *beside(network, batch, LEAST))


def of_wide():
    """Yield a line for each network that is sampled without its weights."""
    for words, batch, given, layers in WIDE:
        network = Network.read({"input": given, "layers": layers})
        yield line(f"{words}, batch {batch}", *beside(network, batch, WIDE_TIMES))


def of_theory():
    """Yield a line for each example whose theory is timed, gradients included."""
    for name in THEORY:
        network = Network.load(FOLDER / f"{name}.toml")
        moments = inputs_of(network, BATCHES[-1]).moments()
        (times,) = alternating(lambda: walk(network, BATCHES[-1], moments))  # noqa: B023
        own = statistics.median(times)
        reach = f"≤ {THEORY_SECONDS:g} s" + MISSED * (own > THEORY_SECONDS)
        yield line(f"theory of {name}, both ways, time on the clock", seconds(own), "—", reach)


def of_memory():
    """Return the line of the memory of long sequences."""
    # Kernels may be compiled the first time, which takes memory.
    _, few, many = (number_of("-c", MEMORY, str(times)) for times in (FEW, FEW, MANY))
    # The input, as it is drawn and as channels of a grid, and a copy of it while it is measured.
    given = 4 * 64 * 8 * (MANY - FEW)
    words = f"peak memory of an LSTM of width 64, batch 8, {MANY:,} steps, forward"
    grown = (many - few) / given
    return line(
        words,
        f"{many / 2**20:,.0f} MiB",
        f"{few / 2**20:,.0f} MiB ¹",
        f"{grown:.1f} × the input, ≤ 4" + MISSED * (grown > 4),
    )


def torch_on_one_thread():
    """Return whether PyTorch is there, on one thread from now on."""
    if not find_spec("torch"):
        return False
    import torch

    torch.set_num_threads(1)
    return True


def main(page):
    """Write the page."""
    columns = (
        "network", "forward: snstat", "PyTorch", "ratio", "both ways: snstat", "PyTorch", "ratio",
        "target",
    )  # fmt: skip
    title = "# Benchmarks of networks on grids, over time, and with attention"
    parts = [title, "", "Written by `make bench`.", ""]
    if torch_on_one_thread():
        parts += [*head(columns), *of_examples(), "", "Wide layers, whose weights are not drawn:"]
        parts += ["", *head(columns), *of_wide(), ""]
    parts += [*head(("what", "snstat", "other", "target")), *of_theory(), of_memory(), ""]
    parts += [f"¹ {FEW:,} steps.", "", __doc__.partition("\n\n")[2].strip(), ""]
    page.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
