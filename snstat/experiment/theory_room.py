"""What theory of pairs of positions, and of samples of data, takes, said before: memory, and
time."""

from __future__ import annotations

from snstat.network.network import Network

# Of one pair of positions in one layer: bytes, and seconds on one core of a laptop. Measured for
# convolutions of 60 × 60 positions, with ReLU and tanh, and a global mean pool.
BYTES, SECONDS = 56.0, 2.5e-7
# So many pairs, in all layers together, are followed in about a second.
QUICK_PAIRS = 2**22
# Of one sample of data: seconds of a layer, and of a position in it, measured for convolutions with
# ReLU and GELU of 8 × 8 to 64 × 64 positions; and the numbers that are kept of a layer.
LAYER_SECONDS, POSITION_SECONDS, KEPT = 1e-3, 3e-6, 12
# Theory of samples that takes longer is announced, in seconds.
QUICK_SECONDS = 2.0


def takes_time(network: Network) -> bool:
    """Return whether theory of a network may take more than a second or so: of very many layers, or
    of very many pairs of positions."""
    from snstat.theory.start import MOST_COUNTED, pairs_of

    return network.depth > MOST_COUNTED or pairs_of(network) > QUICK_PAIRS


def theory_bytes(network: Network, samples: int = 0) -> float:
    """Return the bytes that pairs of positions fill while theory of a network is computed, and what
    is kept of `samples` of data that it follows one by one."""
    from snstat.theory.start import pairs_of

    own = network.input.units + KEPT * (network.depth + 1.0)
    return BYTES * pairs_of(network) + 8.0 * samples * own


def seconds_of_samples(network: Network, samples: int) -> float:
    """Return about how long theory of so many samples of data takes, one by one. Blocks whose state
    settles take less."""
    from snstat.theory.start import pairs_of, positions_of

    own = LAYER_SECONDS * network.depth + POSITION_SECONDS * positions_of(network)
    return samples * (own + SECONDS * pairs_of(network))


def theory_takes(network: Network, samples: int = 0) -> str:
    """Return what theory of very many pairs of positions takes, or of as many `samples` of data, in
    words; "" of fewer."""
    from snstat.theory.start import pairs_of

    pairs = pairs_of(network)
    seconds = seconds_of_samples(network, samples) if samples else SECONDS * pairs
    room = f" and {BYTES * pairs / 2**30:.1f} GiB" if pairs > QUICK_PAIRS else ""
    if samples and seconds > QUICK_SECONDS:
        return f"theory of {samples:,} samples takes about {seconds:.0f} s{room}"
    if not room:
        return ""
    return f"theory of {pairs:,} pairs of positions takes about {seconds:.0f} s{room}"
