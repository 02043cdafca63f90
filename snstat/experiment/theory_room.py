"""What theory of pairs of positions takes, said before: memory, and time."""

from __future__ import annotations

from snstat.network.network import Network

# Of one pair of positions in one layer: bytes, and seconds on one core of a laptop. Measured for
# convolutions of 60 × 60 positions, with ReLU and tanh, and a global mean pool.
BYTES, SECONDS = 56.0, 2.5e-7
# So many pairs, in all layers together, are followed in about a second.
QUICK_PAIRS = 2**22


def takes_time(network: Network) -> bool:
    """Return whether theory of a network may take more than a second or so: of very many layers, or
    of very many pairs of positions."""
    from snstat.theory.start import MOST_COUNTED, pairs_of

    return network.depth > MOST_COUNTED or pairs_of(network) > QUICK_PAIRS


def theory_bytes(network: Network) -> float:
    """Return the bytes that pairs of positions fill while theory of a network is computed."""
    from snstat.theory.start import pairs_of

    return BYTES * pairs_of(network)


def theory_takes(network: Network) -> str:
    """Return what theory of very many pairs of positions takes, in words; "" of fewer."""
    from snstat.theory.start import pairs_of

    pairs = pairs_of(network)
    if pairs <= QUICK_PAIRS:
        return ""
    room = f"{BYTES * pairs / 2**30:.1f} GiB"
    return f"theory of {pairs:,} pairs of positions takes about {SECONDS * pairs:.0f} s and {room}"
