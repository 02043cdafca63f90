"""Does dropout leave a difference between inputs? SN303."""

from __future__ import annotations

import numpy as np

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.pairs import comparable
from snstat.checks.rule import Broken, rule

# Of cosines that are shown: what is beyond them is rounding.
DECIMALS = 12


def _no_masks(case: Case) -> Obstacle | None:
    """Return why there are no two passes to compare."""
    if case.of_files is not None:
        return case.of_files
    if not case.drops:
        return Obstacle("no layer drops units", plain=True)
    if not (case.masked_cosine < 1.0).any():  # not even behind the first masks
        return Obstacle("theory does not know the cosine under two masks of dropout here")
    return None


def _partly(case: Case) -> str:
    """Return at which layer two passes are compared, if that is not the last one."""
    known = np.flatnonzero(np.isfinite(case.masked_cosine + case.predicted("cosine")))
    if not known.size or known[-1] == case.depth:
        return ""
    return f"judged at layer {known[-1]}, the last one that theory knows"


@rule("SN303", "dropout-decides", obstacle=_no_masks, partly=_partly)
def dropout_decides(case: Case) -> Broken | None:
    """The masks of dropout, not the data, decide how alike the outputs of two inputs are.

    **What it does.** In a network file with dropout, it compares two passes of one sample, with
    masks of their own, with passes of two samples. It finds that at the last layer at least
    `--dropout-share-max` of the distance between different samples is there between the two passes
    of one sample already.

    **Why it matters.** The outputs of one sample are then as different as those of any two, and
    training sees noise. The cosine between samples does not show it: it settles below 1, as if
    inputs were told apart.

    **What is compared.** The share

        (1 − c_self)/(1 − c_other)

    at the last layer, where c_self is the cosine of two passes of one sample, and c_other that of
    two samples. Theory follows both; c_self starts at 1. Dropout of rate r leaves products of two
    passes as they are, and multiplies squares by 1/(1 − r). The default leaves 2 % of the distance
    to the inputs, as that of `--cosine-max` does.

    **Example.**

    ```console
    $ echo 'input = { channels = 256 }' > drop.toml
    $ echo 'layers = [ { kind = "block", times = 16, layers = [' >> drop.toml
    $ echo '  { kind = "dense", width = 256, activation = "relu" },' >> drop.toml
    $ echo '  { kind = "dropout", rate = 0.1 } ] } ]' >> drop.toml
    $ snstat check drop.toml --select SN303
    FAILED drop: stable, but breaks SN303
      drop · 32 layers · 256 → 256
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN303 dropout-decides, layer 32: at layer 32 two passes of one sample have
            cosine 0.6276, and two samples 0.6268 (theory); masks make 99.8% of
            the distance, at least 98.0%
            → set "rate" of dropout layer 0.1 to 0.025 (now 0.1)
    ```

    **How to fix it.** Use a smaller rate, or fewer layers with dropout. Drop within the branches of
    residuals, so that the stream itself is whole, or after the last hidden layer only.

    **Options.** `--dropout-share-max` (default 0.98).

    **Known problems.** No statistic measures it, so the rule uses theory of infinite width only, of
    training mode. It is not judged with batch norm, whose output depends on how different the
    samples of a batch are, nor with inputs of different norms. Uniform stacks have no dropout.

    **Source.** Schoenholz et al., *Deep Information Propagation*, arXiv:1611.01232.
    """
    own, bound = case.masked_cosine, case.bounds.dropout_share_max
    if np.isnan(own).all():  # theory of pairs of samples takes time
        return None
    other = case.predicted("cosine")
    known = np.flatnonzero(np.isfinite(own + other))
    if not known.size:
        return None
    layer = int(known[-1])
    if not comparable(float(other[layer])):
        return None
    share = (1.0 - float(own[layer])) / (1.0 - float(other[layer]))
    if not share >= bound:
        return None
    mine, theirs = (round(float(cosine[layer]), DECIMALS) + 0.0 for cosine in (own, other))
    text = (
        f"at layer {layer} two passes of one sample have cosine {mine:.4g}, and two"
        f" samples {theirs:.4g} (theory); masks make {share:.1%} of the distance, at least"
        f" {bound:.1%}"
    )
    return Broken(layer, share, bound, text)
