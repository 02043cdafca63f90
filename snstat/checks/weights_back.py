"""Do the weights of all layers get gradients of one size? SN203."""

from __future__ import annotations

import math

import numpy as np

from snstat.checks.backward import logarithms, partly, power, scientific
from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.rule import Broken, rule
from snstat.results import FloatArray


def _no_weights(case: Case) -> Obstacle | None:
    """Return why there are no two layers to compare."""
    found = case.of_files or case.no_weights or case.no_gradients
    if found is not None or np.count_nonzero(np.isfinite(_gradients(case))) >= 2:
        return found
    unseen = np.isnan(case.seen_gradients).all()
    few = "fewer than two layers have gradients of weights"
    return Obstacle(case.why_no_gradients if unseen else few)


def _gradients(case: Case) -> FloatArray:
    """Return ln of the mean squares of the gradients of every layer's weights, up to a constant."""
    return case.weight_gradients(logarithms(case))


@rule("SN203", "weight-gradients-differ", obstacle=_no_weights, partly=partly)
def weights_differ(case: Case) -> Broken | None:
    """The gradients of different layers' weights differ by more than --weight-gradient-decades.

    **What it does.** In a network file, it finds two layers of which the mean squares of the
    gradients of the weights differ by more than a factor of 10^`--weight-gradient-decades`.

    **Why it matters.** One learning rate of plain gradient descent moves the weights of one layer,
    and leaves those of the other where they are. Activations and their gradients may both stay
    within their bounds: the gradient of a weight is the product of the two.

    **What is compared.** With δ = ∂L/∂z of the pre-activations of a layer, and x its inputs:

        E(∂L/∂W)² = E[δ²] E[x²]

    Theory tells E[x²], the gradient of the layer's output, and by what the layer multiplies that:
    E[φ'(z)²] of a dense layer. A highway has two matrices, with E[t²] E[φ'²] and E[σ'²] E(h − x)²;
    the mean over the weights of both is compared. With `--backward`, the measured gradient takes
    its place where SN201 and SN202 would judge that one.

    **Example.** Branches with a small factor, with which the network begins as the identity:

    ```console
    $ echo 'input = { channels = 256 }' > small.toml
    $ echo 'layers = [ { kind = "block", times = 8, layers = [' >> small.toml
    $ echo '  { kind = "residual", scale = 0.003, layers = [' >> small.toml
    $ echo '  { kind = "layer_norm" },' >> small.toml
    $ echo '  { kind = "dense", width = 256, activation = "relu" },' >> small.toml
    $ echo '  { kind = "dense", width = 256 } ] } ] },' >> small.toml
    $ echo '  { kind = "dense", width = 10 } ]' >> small.toml
    $ snstat check small.toml --select SN203
    FAILED small: stable, but breaks SN203
      small · 33 layers · 256 → 10
      8 trials × batch 64 · float32, matrix-free in part, seed 0
      SN203 weight-gradients-differ, layer 33: squared gradients of weights
            differ: those of layer 33 are ×5.69e+06 those of layer 30, above 10^6
            → set "scale" of residual 0.0 to 1 (now 0.003)
    ```

    **How to fix it.** Give all layers gains that preserve the signal, and inputs of one size: where
    each layer is followed by a norm, or all are homogeneous, the mean square is in proportion to
    1/G². A factor that stands outside a layer, as `scale` does, makes its gradients smaller.
    Optimisers that divide by the size of each gradient, as Adam does, need it less.

    **Options.** `--weight-gradient-decades` (default 6).

    **Known problems.** Only layers of network files are compared: of uniform stacks, SN101 to SN202
    say what there is to say. Biases are left out, and so are factors and shifts that other
    libraries train in norms: norms have none here. Where an activation follows a highway or another
    activation, δ depends on what the layer is fed, so that the product is approximate.
    Gradients of 0 are left to SN201. Each sample counts by itself, as if gradients of different
    samples were uncorrelated; behind batch norm they partly cancel. The mean square is that of one
    weight, so a layer before fewer units has larger ones. Normalized and standardized weights are
    meant as they act.

    **Source.** Schoenholz et al., *Deep Information Propagation*, arXiv:1611.01232.
    """
    decades = case.bounds.weight_gradient_decades
    logs = _gradients(case)
    known = np.flatnonzero(np.isfinite(logs))
    if not known.size:
        return None
    large, small = (int(known[pick(logs[known])]) for pick in (np.argmax, np.argmin))
    apart = float(logs[large] - logs[small])
    if not apart > decades * math.log(10.0):
        return None
    text = (
        f"squared gradients of weights differ: those of layer {large} are"
        f" ×{scientific(apart)} those of layer {small}, above 10^{decades:g}"
    )
    return Broken(large, power(apart), 10.0**decades, text)
