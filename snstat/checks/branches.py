"""Do the branches of residuals add anything? SN402."""

from __future__ import annotations

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.rule import Broken, rule


def _no_branches(case: Case) -> Obstacle | None:
    """Return why there are no branches to compare."""
    if case.of_files is not None or next(iter(case.branches), None) is not None:
        return case.of_files
    return Obstacle("there is no residual", plain=True)


@rule("SN402", "branches-fade", obstacle=_no_branches)
def branches_fade(case: Case) -> Broken | None:
    """The later branches of a residual stream add next to nothing to it.

    **What it does.** In a network file, it finds a residual whose branch has less than
    `--branch-share-min` of the second moment of the sum, if no later residual has more.

    **Why it matters.** Such a layer returns its input. Its weights change what the network computes
    by next to nothing, so the network is less deep than it looks.

    **What is compared.** With s the `scale` of the residual and f(x) its branch, the share

        s² E[f(x)²]/E[(x + s f(x))²]

    of theory, or of measured values where those are judged. With L branches that start from a norm,
    the stream grows to L + 1 times what one adds, and the last share is about 1/L. With a scale of
    1/√(2 L) all shares are about 1/(3 L). Both are above the default up to 300 branches. A branch
    with that share is 3 % of the stream in size, and bfloat16, whose numbers have 8 bits, keeps
    about 3 bits of it.

    **Example.** A stream that begins large, as embeddings with a standard deviation of 40 do:

    ```console
    $ echo 'input = { channels = 256, std = 40 }' > flow.toml
    $ echo 'layers = [ { kind = "block", times = 8, layers = [' >> flow.toml
    $ echo '  { kind = "residual", layers = [' >> flow.toml
    $ echo '  { kind = "layer_norm" },' >> flow.toml
    $ echo '  { kind = "dense", width = 256, activation = "relu" },' >> flow.toml
    $ echo '  { kind = "dense", width = 256 } ] } ] } ]' >> flow.toml
    $ snstat check flow.toml --select SN402
    FAILED flow: stable, but breaks SN402
      flow · 32 layers · 256 → 256
      8 trials × batch 64 · float32, matrix-free, seed 0 ·
      inputs normal (mean 0, std 40)
      SN402 branches-fade, layer 4: the branch added at layer 32 has 0.00062 of
            the second moment of the sum, below 0.001; so fade all 8 from layer 4
            on
            → set "std" of input to 1 (now 40)
    ```

    **How to fix it.** Begin with a smaller stream: normalise what enters it. Use a larger `scale`,
    or fewer residuals, or normalise after the sum.

    **Options.** `--branch-share-min` (default 0.001).

    **Known problems.** Branches that are exactly 0 at first are meant so and are not reported.
    Those with a small factor that is trained, such as 1e-5, are reported, though they are meant so
    too. Of many more than 300 residuals, each adds little by need, though together they may add
    much: lower the bound. Uniform stacks have no residuals.

    **Source.** De, Smith, *Batch Normalization Biases Residual Blocks Towards the Identity Function
    in Deep Networks*, arXiv:2002.10444.
    """
    second, bound = case.known("second_moment"), case.bounds.branch_share_min
    faded: list[tuple[int, float]] = []
    for branch in case.branches:
        share = branch.scale**2 * float(second[branch.last]) / (float(second[branch.layer]) or 1.0)
        if share >= bound:
            faded.clear()
        elif share > 0:
            faded.append((branch.layer, share))
    if not faded:
        return None
    first, (last, value) = faded[0][0], faded[-1]
    others = f"; so fade all {len(faded):,} from layer {first} on" if first != last else ""
    text = (
        f"the branch added at layer {last} has {value:.2g} of the second moment of the sum, below"
        f" {bound:g}{others}"
    )
    return Broken(first, value, bound, text)
