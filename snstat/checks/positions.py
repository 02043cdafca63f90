"""What becomes of the positions of a grid, or of the tokens of a text? SN304 and SN403."""

from __future__ import annotations

import numpy as np

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.pairs import SAME, become_alike
from snstat.checks.rule import Broken, rule

COSINE = "position_cosine"


def _first_of_several(case: Case) -> int | None:
    """Return the first layer whose positions have a cosine that is not 1, None without any."""
    found = np.flatnonzero(1.0 - case.known(COSINE) > SAME)
    return int(found[0]) if found.size else None


def _no_positions(case: Case) -> Obstacle | None:
    """Return why there are no positions to compare."""
    if _first_of_several(case) is not None:
        return None
    if np.isfinite(case.known(COSINE)).any():
        return Obstacle("all positions are alike from the start")
    return Obstacle("no layer has several positions", plain=True)


@rule("SN304", "positions-collapse", verdict="collapsed", obstacle=_no_positions)
def positions_collapse(case: Case) -> Broken | None:
    """The cosine between different positions of a sample reaches its bound.

    **What it does.** In networks on grids, it finds the first layer at which the positions of a
    sample, such as the tokens of a text or the pixels of a picture, have become alike: their
    cosine, averaged over pairs, reaches `--position-cosine-max`.

    **Why it matters.** Later layers see the same vector everywhere, so they cannot tell one token
    from another. Attention without residual connections does that within a few layers (rank
    collapse), and so do convolutions that average neighbours over and over (over-smoothing).

    **What is compared.** With the moments E[x_u x_v] of positions u and v of one sample, the mean
    over u ≠ v of

        E[x_u x_v]/√(E[x_u²] E[x_v²])

    by theory where pairs of positions are followed. The rule judges the estimate of
    `position_cosine` elsewhere, and where the estimate leaves theory by more than its error allows.
    Layers that a connection passes by, such as those within a residual, are left out: the sum keeps
    what positions differ by.
    If the first layer with several positions has a cosine c₀ above 0, the bound is on
    (1 − cosine)/(1 − c₀), the share of their difference that is left.

    **Example.** Convolutions on a ring, each an average of neighbours:

    ```console
    $ echo 'input = { channels = 64, grid = [16] }' > ring.toml
    $ echo '[defaults.conv]' >> ring.toml
    $ echo 'channels = 64' >> ring.toml
    $ echo 'kernel = 3' >> ring.toml
    $ echo 'padding = "circular"' >> ring.toml
    $ echo 'activation = "relu"' >> ring.toml
    $ echo '[[layers]]' >> ring.toml
    $ echo 'kind = "block"' >> ring.toml
    $ echo 'times = 64' >> ring.toml
    $ echo 'layers = [ { kind = "conv" } ]' >> ring.toml
    $ snstat check ring.toml --batch 8 --select SN304
    FAILED ring: collapsed
      ring · 64 layers · 16 × 64 → 16 × 64
      8 trials × batch 8 · float32, dense, seed 0
      SN304 positions-collapse, layer 38: positions become alike: cosine 0.9808 at
            layer 38 (theory; seen 0.9621±0.008), at least 0.98; 0 at the input
            → set "times" of block 0 to 37 (now 64)
    ```

    **How to fix it.** Add residual connections, which keep what a position has of its own. Use
    fewer layers, or activations without a mean, such as tanh. For attention, use a larger gain of
    queries and keys, or feed-forward layers between.

    **Options.** `--position-cosine-max` (default 0.98).

    **Known problems.** The cosine includes the mean over units: positions after activations with a
    large mean reach the bound early, though they still differ. Pools on purpose make positions
    alike, and a network that ends in a global pool does not need different positions. Uniform
    stacks have no positions.

    **Source.** Dong, Cordonnier, Loukas, arXiv:2103.03404; Noci et al., arXiv:2206.03126.
    """
    first = _first_of_several(case)
    if first is None:
        return None
    return become_alike(case, COSINE, "positions", case.bounds.position_cosine_max, first)


def _no_profile(case: Case) -> Obstacle | None:
    """Return why positions are not compared with their average."""
    if case.least_position[0] < case.bounds.position_share_min:
        return Obstacle("some position of these inputs is as faint from the start")
    if case.of_files is not None or np.isfinite(case.least_position[1:]).any():
        return case.of_files
    if case.lacks_positions.any():
        return Obstacle("theory knows no layer with several positions")
    return Obstacle("no layer has several positions", plain=True)


def _partly(case: Case) -> str:
    """Return of how many layers theory does not know the positions."""
    missing = np.count_nonzero(case.lacks_positions)
    if not missing:
        return ""
    several = missing + np.count_nonzero(np.isfinite(case.least_position[1:]))
    return f"not judged at {missing:,} of {several:,} layers with several positions: no theory"


@rule("SN403", "position-fades", obstacle=_no_profile, partly=_partly)
def position_fades(case: Case) -> Broken | None:
    """The signal at one position is a small part of the average.

    **What it does.** In a network file on a grid, it finds the first layer where the second moment
    at some position is below `--position-share-min` of the average over all positions.

    **Why it matters.** What is there is lost: later layers see the middle of a picture, or the end
    of a text. The average over positions, which tables show, does not tell.

    **What is compared.** E[x_u²] of theory at every position u, over its mean. Each layer with zero
    padding and a kernel of k positions takes the share of the kernel that reaches beyond the border
    away: a third at the end of a row for k = 3, and five ninths in the corner of a picture. The
    loss moves inwards, layer by layer. Causal padding leaves 1/k a layer at the first position.
    Layers that a connection passes by, such as those within a residual, are left out: the sum keeps
    what is there.

    **Example.**

    ```console
    $ echo 'input = { channels = 64, grid = [32] }' > causal.toml
    $ echo '[defaults.conv]' >> causal.toml
    $ echo 'channels = 64' >> causal.toml
    $ echo 'kernel = 2' >> causal.toml
    $ echo 'padding = "causal"' >> causal.toml
    $ echo 'activation = "relu"' >> causal.toml
    $ echo '[[layers]]' >> causal.toml
    $ echo 'kind = "block"' >> causal.toml
    $ echo 'times = 8' >> causal.toml
    $ echo 'layers = [ { kind = "conv" } ]' >> causal.toml
    $ snstat check causal.toml --batch 8 --select SN403
    FAILED causal: stable, but breaks SN403
      causal · 8 layers · 32 × 64 → 32 × 64
      8 trials × batch 8 · float32, dense, seed 0
      SN403 position-fades, layer 7: the second moment at position 0 of layer 7 is
            0.0088 of the average over positions (theory), below 0.01
            → begin block 0 with { kind = "layer_norm" }
    ```

    **How to fix it.** Use residual connections, or a norm at every position, such as layer norm. A
    bias, circular padding or padding with values instead of zeros helps too.

    **Options.** `--position-share-min` (default 0.01).

    **Known problems.** The rule is about theory: no statistic measures single positions. Where
    theory is missing, as behind a max pool, positions are not compared, and a note says at how many
    layers. The rule does not know which positions matter. It does not judge inputs of which some
    position is as faint already, such as the dark border of all pictures.

    **Source.** Alsallakh et al., *Mind the Pad*, arXiv:2010.02178.
    """
    share, bound = case.least_position, case.bounds.position_share_min
    bad = np.flatnonzero(share < bound)
    if not bad.size or bad[0] == 0:
        return None
    layer = int(bad[0])
    value = float(share[layer])
    place = case.weakest_position(layer)
    where = str(place[0]) if len(place) == 1 else f"({', '.join(map(str, place))})"
    text = (
        f"the second moment at position {where} of layer {layer} is {value:.2g} of the average over"
        f" positions (theory), below {bound:g}"
    )
    return Broken(layer, value, bound, text)
