"""Is self-normalisation proven for these weights? SN601."""

from __future__ import annotations

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.remedies import gains
from snstat.checks.rule import Broken, rule

# Square sums of weights in the domain of the SNN paper's theorem 1, arXiv:1706.02515.
THEOREM_1 = (0.95, 1.1)


def _no_selu(case: Case) -> Obstacle | None:
    """Return why there are no weights of SELU."""
    if case.of_files is not None or next(iter(case.selu_weights), None) is not None:
        return case.of_files
    return Obstacle("no dense layer has SELU, or SELU next", plain=True)


@rule("SN601", "outside-theorems", families=(gains,), obstacle=_no_selu)
def leaves_theorems(case: Case) -> Broken | None:
    """SELU's weights leave the domain of the SNN paper's theorem 1.

    **What it does.** It compares the sum of the squared weights of a SELU unit, G², with the range
    0.95 to 1.1. Within this range, theorem 1 of the SNN paper proves that mean and variance
    contract to a fixed point near (0, 1).

    **Why it matters.** Self-normalisation is a theorem about LeCun's initialisation. With another
    gain a stack may still converge, to another point and at another rate, but this is not proven.

    **What is compared.** G² of the initialiser, of `--weight-gain` or of `--weight-std`: the
    variance of a weight times the number of inputs of a unit. If layers differ in width, and in
    network files, G² of every dense layer with SELU, or with a SELU activation next.

    **Example.**

    ```console
    $ snstat check --init torch_default --depth 8 --width 256 --select SN601
    FAILED default: stable, but breaks SN601
      SELU · 8 layers of 256 ·
      torch_default (gain 0.5773…, uniform biases of std 0.03608…)
      8 trials × batch 64 · float32, dense, seed 0
      SN601 outside-theorems: weights have square sum 0.3333 (torch_default),
            outside the 0.95 to 1.1 for which the SNN paper's theorem 1 is proven
            → use --weight-gain 1 (now 0.5774)
    ```

    **How to fix it.** Use `--init lecun_normal` (G = 1). In PyTorch, this is `kaiming_normal_(w,
    nonlinearity="linear")`. The gain that PyTorch recommends for SELU, 3/4, is outside the domain,
    and so is the default of `nn.Linear` (0.577).

    **Options.** None: the range is that of the theorem.

    **Known problems.** The theorem also bounds the sum of the weights of a unit, and the mean and
    variance of its inputs. The rule does not look at these. Biases, which the theorem does not
    have, do not count.

    **Source.** Klambauer et al., *Self-Normalizing Neural Networks*, arXiv:1706.02515, theorem 1.
    """
    low, high = THEOREM_1
    for number, square, init in case.selu_weights:
        if not low <= square <= high:
            of = "" if number is None else f" of layer {number}"
            text = (
                f"weights{of} have square sum {square:.4g} ({init}), outside the {low:g} to"
                f" {high:g} for which the SNN paper's theorem 1 is proven"
            )
            return Broken(number, square, low if square < low else high, text)
    return None
