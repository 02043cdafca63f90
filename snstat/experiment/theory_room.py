"""What theory of pairs of positions, and of samples of data, takes, said before: memory, and
time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snstat.network.network import Network

if TYPE_CHECKING:
    from snstat.theory.start import Followed

# Of one pair of positions in one layer: bytes, and seconds on one core of a laptop. Measured for
# convolutions of 60 × 60 positions, with ReLU and tanh, and a global mean pool.
BYTES, SECONDS = 56.0, 2.5e-7
# So many pairs, in all layers together, are followed in about a second.
QUICK_PAIRS = 2**22
# Of one sample of data: seconds of a layer on a grid, of one without, of a position, measured for
# convolutions of 8 × 8 to 64 × 64 positions with ReLU and GELU; and the numbers kept of a layer.
LAYER_SECONDS, VECTOR_SECONDS, POSITION_SECONDS, KEPT = 1e-3, 2e-4, 3e-6, 12
# Of a pair of positions of such a sample, none of which equals another.
PAIR_SECONDS = 4e-7
# Of a batch, whose averages are taken.
BATCH_SECONDS = 1e-3
# Theory of samples that takes longer is announced, in seconds; and its memory from this on.
QUICK_SECONDS, LEAST_GIB = 2.0, 0.1


def takes_time(network: Network) -> bool:
    """Return whether theory of a network may take more than a second or so: of very many layers, or
    of very many pairs of positions."""
    from snstat.theory.start import MOST_COUNTED, pairs_of

    return network.depth > MOST_COUNTED or pairs_of(network) > QUICK_PAIRS


def theory_bytes(network: Network, of: Followed | None = None) -> float:
    """Return the bytes that pairs of positions fill while theory of a network is computed, and what
    is kept `of` samples of data that it follows one by one."""
    from snstat.theory.start import MOST_AT_ONCE, pairs_of, products_of

    pairs = BYTES * pairs_of(network)
    if of is None or not of.samples:
        return pairs
    own = network.input.units + KEPT * (network.depth + 1.0)
    products = products_of(network, of)
    pairs *= of.samples if products else 1
    return pairs + 8.0 * of.samples * own + BYTES * min(products, MOST_AT_ONCE)


def seconds_of_samples(network: Network, of: Followed) -> float:
    """Return about how long theory of samples of data takes, one by one, and of all pairs of a
    batch. Blocks whose state settles take less."""
    from snstat.theory.start import pairs_of, positions_of, products_of

    layers = LAYER_SECONDS if network.input.grid else VECTOR_SECONDS
    each = layers * network.depth + POSITION_SECONDS * positions_of(network)
    alone = of.samples * (each + PAIR_SECONDS * pairs_of(network))
    return alone + SECONDS * products_of(network, of) + BATCH_SECONDS * of.batches


def theory_takes(network: Network, of: Followed | None = None) -> str:
    """Return what theory of very many pairs of positions takes, or `of` samples of data that it
    follows one by one, in words; "" of fewer."""
    from snstat.theory.start import pairs_of

    pairs = pairs_of(network)
    what, seconds = f"{pairs:,} pairs of positions", SECONDS * pairs
    quick = pairs <= QUICK_PAIRS
    if of is not None and of.samples:
        what, seconds = f"{of.samples:,} samples", seconds_of_samples(network, of)
        quick = seconds <= QUICK_SECONDS
    if quick:
        return ""
    words, room = f"theory of {what} takes about {seconds:.0f} s", theory_bytes(network, of) / 2**30
    return f"{words} and {room:.1f} GiB" if room >= LEAST_GIB else words
