"""Were weights drawn as they should be? SN604, SN605 and SN606."""

from __future__ import annotations

from snstat.activation.saturated import saturates
from snstat.checks.weights_rule import Flaw, WeightsCase, named, weights_rule
from snstat.errors import name_words
from snstat.layers.initialisers import TRUNCATED_STD
from snstat.results import TensorWeights
from snstat.sources.weights.schemes import UNCORRECTED

DEFAULT = "torch_default"


@weights_rule("SN604", "other-initialiser")
def other_initialiser(case: WeightsCase) -> Flaw | None:
    """Weights were not drawn with the initialiser that they are said to be.

    **What it does.** It finds weight matrices that the initialiser of `--init` does not fit. With
    `--baseline`, but without `--init`, it finds those to which none of the names fits that fitted
    in the baseline. Without either it is not applied.

    **Why it matters.** A call of an initialiser that never reaches a layer, or is undone by a later
    one, leaves no trace but the weights. Theory of a network holds for the weights it has.

    **What is compared.** The names that `snstat weights` gives with the one expected. A scheme is
    refused by chance once in 16,000 matrices.

    **Example.**

    ```console
    $ echo 'import numpy as np; g = np.random.default_rng(0)' > default.py
    $ echo 'w = g.uniform(-1 / 16, 1 / 16, (64, 256))' >> default.py
    $ echo 'np.savez("default.npz", fc=w)' >> default.py; python default.py
    $ snstat check default.npz --init lecun_normal --select SN604
    FAILED default.npz: sound, but breaks SN604
      default.npz · 1 weight matrix · lecun_normal
      SN604 other-initialiser: fc: not drawn with lecun_normal; the first looks
            like torch_default (gain 0.5765)
            → draw it with lecun_normal
    ```

    **How to fix it.** Initialise the layer after it is built, and after all else that touches its
    weights. Leave out `--init` for weights that were trained.

    **Options.** None: what is expected, `--init` or `--baseline` says; neither has a default here.

    **Known problems.** All matrices are compared, embeddings and read-outs too, which often have
    initialisers of their own, as the inner projections of PyTorch's attention have.

    **Source.** The tests by which schemes are told apart, docs/weights.md.
    """
    if case.init is not None:
        wrong = [t for t in case.weights.tensors if not _drawn_with(case.init, t)]
        expected = case.init
    else:
        wrong = [
            tensor
            for tensor in case.weights.tensors
            if case.baseline.get(tensor.name)
            and not set(case.baseline[tensor.name]) & set(_names(tensor))
        ]
        expected = name_words(case.baseline[wrong[0].name][0]) if wrong else ""
    if not wrong:
        return None
    like = _names(wrong[0])[:1]
    seen = f"looks like {like[0]}" if like else "looks like no named scheme"
    text = f"{named(wrong)}: not drawn with {expected}; the first {seen}{_gain(wrong[0])}"
    remedy = f"draw it with {expected}"
    if case.init is None:
        remedy += ", or accept the change with --write-baseline"
    return Flaw(float(len(wrong)), 0.0, text, remedy)


@weights_rule("SN605", "truncated-uncorrected")
def uncorrected(case: WeightsCase) -> Flaw | None:
    """A truncated normal was not divided by its standard deviation after the cut.

    **What it does.** It finds weight matrices with the distribution of a normal that was cut at two
    standard deviations and whose variance is 0.774 times that of the LeCun, He or Glorot scheme.

    **Why it matters.** The cut takes 22.6 % of the variance. Over 32 layers of a network that keeps
    the second moment, 0.774³² = 0.0003 of it is left. Several libraries had this error.

    **What is compared.** The variance with 0.774 times that of each scheme, the factor being that
    of a standard normal cut at ±2, if no other named scheme fits.

    **Example.**

    ```console
    $ echo 'from scipy.stats import truncnorm; import numpy as np' > cut.py
    $ echo 'z = truncnorm.rvs(-2, 2, size=(64, 256), random_state=0)' >> cut.py
    $ echo 'np.savez("cut.npz", fc=z / 16)' >> cut.py; python cut.py
    $ snstat check cut.npz --select SN605
    FAILED cut.npz: sound, but breaks SN605
      cut.npz · 1 weight matrix
      SN605 truncated-uncorrected: fc: drawn as lecun_truncated without its
            correction; the variance is 0.774 of that of the scheme
            → divide the standard deviation by 0.87962566
    ```

    **How to fix it.** Correct the standard deviation, dividing by 0.87962566, before drawing, as
    `jax.nn.initializers.variance_scaling` and Keras' `VarianceScaling` do.

    **Options.** None: the factor follows from the cut.

    **Known problems.** PyTorch's `trunc_normal_(std=0.02)` cuts at ±2, not at two standard
    deviations, and draws a plain normal.

    **Source.** The schemes of `snstat weights`, docs/weights.md.
    """
    found = [
        tensor
        for tensor in case.weights.tensors
        if tensor.schemes and all(name.endswith(UNCORRECTED) for name in _names(tensor))
    ]
    if not found:
        return None
    scheme = _names(found[0])[0].removesuffix(UNCORRECTED)
    text = (
        f"{named(found)}: drawn as {scheme} without its correction; the variance is"
        f" {TRUNCATED_STD**2:.3f} of that of the scheme"
    )
    remedy = f"divide the standard deviation by {TRUNCATED_STD:.8f}"
    return Flaw(TRUNCATED_STD**2, 1.0, text, remedy)


@weights_rule("SN606", "default-under-selu")
def default_under_selu(case: WeightsCase) -> Flaw | None:
    """The default of PyTorch drew weights for an activation that needs another gain.

    **What it does.** With `--activation` of an activation that has a target of its own, such as
    SELU, or that saturates, such as tanh, it finds weight matrices that look like the default of
    `nn.Linear` and `nn.Conv2d`. Unless the option is given, the rule is not applied.

    **Why it matters.** The default has variance 1/(3 fan_in), a gain of 0.577. SELU keeps mean 0
    and variance 1 with a gain of 1, and tanh keeps a signal with a gain above 1. With the default
    both lose two thirds of the squared signal in each layer near 0, and of the gradient too.

    **What is compared.** The names that `snstat weights` gives with `torch_default`, if no other
    named scheme fits.

    **Example.**

    ```console
    $ echo 'import numpy as np; g = np.random.default_rng(0)' > selu.py
    $ echo 'w = g.uniform(-1 / 16, 1 / 16, (64, 256))' >> selu.py
    $ echo 'np.savez("selu.npz", fc=w)' >> selu.py; python selu.py
    $ snstat check selu.npz --activation selu --select SN606
    FAILED selu.npz: sound, but breaks SN606
      selu.npz · 1 weight matrix · selu
      SN606 default-under-selu: fc: drawn with torch_default (gain 0.5765) under
            selu
            → draw it with lecun_normal
    ```

    **How to fix it.** In PyTorch, `kaiming_normal_(w, nonlinearity="linear")` for SELU, and
    `xavier_normal_(w, gain=5/3)` for tanh.

    **Options.** None: without `--activation` the rule is not applied.

    **Known problems.** A read-out has no activation, and its default does little harm. The rule
    does not know which matrix it is.

    **Source.** Klambauer et al., *Self-Normalizing Neural Networks*, arXiv:1706.02515.
    """
    activation = case.activation
    if activation is None or not (activation.target is not None or saturates(activation)):
        return None
    found = [tensor for tensor in case.weights.tensors if _names(tensor) == (DEFAULT,)]
    if not found:
        return None
    text = f"{named(found)}: drawn with torch_default{_gain(found[0])} under {activation.name}"
    return Flaw(found[0].gain, 1.0, text, f"draw it with {activation.default_init}")


def _drawn_with(init: str, tensor: TensorWeights) -> bool:
    """Return whether an initialiser fits. PyTorch's default may be by other sizes than fan_in."""
    names = _names(tensor)
    by_size = init == DEFAULT and any(name.startswith(f"{DEFAULT}(") for name in names)
    return init in names or by_size


def _names(tensor: TensorWeights) -> tuple[str, ...]:
    return tuple(scheme.name for scheme in tensor.schemes)


def _gain(tensor: TensorWeights) -> str:
    return "" if tensor.gain is None else f" (gain {tensor.gain:.4g})"
