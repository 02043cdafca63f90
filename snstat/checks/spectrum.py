"""How does the Jacobian stretch small changes of the input? SN204."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.rule import Broken, rule
from snstat.errors import SnstatError
from snstat.values.digits import told_apart

if TYPE_CHECKING:
    from snstat.results import LayerSpectrum

# Singular values of at most this share of the largest are near zero.
NEAR_ZERO = 1e-3
WORDS = {
    "largest": "the largest singular value of the Jacobian",
    "near_zero": "the share of the Jacobian's singular values near 0",
}


def _spectrum(case: Case) -> LayerSpectrum | SnstatError | None:
    """Return the singular values of the Jacobians of the network, or why there are none; None for
    a network that is only thought of."""
    if case.run is None:
        return None
    from snstat.experiment.spectrum_plan import SpectrumPlan

    try:
        found = SpectrumPlan.of_run(case.run, NEAR_ZERO).run()
    except SnstatError as error:
        return error
    return found.layers[-1]


def _no_spectrum(case: Case) -> Obstacle | None:
    """Return why the Jacobian is not looked at."""
    bounds = case.bounds
    if bounds.singular_max is None and bounds.near_zero_max is None:
        return Obstacle("no bound is given: use --singular-max or --near-zero-max", plain=True)
    found = case.once("spectrum", _spectrum)
    if isinstance(found, SnstatError):
        return Obstacle(str(found))
    known = None if found is None else found.near_zero_range(NEAR_ZERO)
    if known is None or bounds.near_zero_max is None or bounds.singular_max is not None:
        return None
    low, high = known
    if low <= bounds.near_zero_max < high:
        return Obstacle(
            f"the share near 0 is only known to lie between {low:.2g} and {high:.2g}, as not all"
            " singular values are found; use fewer units, or --singular-max"
        )
    return None


@rule("SN204", "jacobian-spectrum", obstacle=_no_spectrum)
def stretches_unevenly(case: Case) -> Broken | None:
    """The singular values of the Jacobian are beyond a bound.

    **What it does.** With `--singular-max` or `--near-zero-max`, it takes the Jacobian of the last
    layer by the input, one for each trial, and compares the mean of the largest singular value, or
    of the share that is at most 0.001 of the largest, with these bounds. Unless one of them is
    given, the rule is not applied.

    **Why it matters.** A gradient whose mean square is kept may still be lost in most directions.
    Where most singular values are near zero, the network answers to few changes of its input only,
    and training begins near a degenerate saddle. Where one is large, it answers to noise.

    **What is compared.** The singular values that `snstat spectrum` shows: see docs/spectrum.md.
    They are exact for each network that is drawn. The number compared is their mean over trials.
    Where the layer and the input both have more than 4,096 units, the Lanczos method finds the
    largest, and bounds of the share: the rule is broken where the lower one is above the bound.
    With batch norm in train mode, where samples depend on each other, it is the Jacobian of the
    first sample of a batch as large as that of the run, by its own input, the others fixed.

    **Example.** With independent weights, the deep layers of a network see few directions:

    ```console
    $ snstat check -a tanh -d 32 -w 64 --near-zero-max 0.3 --select SN204
    FAILED default: stable, but breaks SN204
      tanh · 32 layers of 64 · lecun_normal (gain 1)
      8 trials × batch 64 · float32, dense, seed 0
      SN204 jacobian-spectrum, layer 32: the share of the Jacobian's singular
            values near 0 is 0.7129±0.006, above 0.3
    ```

    **How to fix it.** Use orthogonal weights: with the same gain, the mean of the squares is the
    same, and the spectrum is narrow. Residual connections and fewer layers help too.

    **Options.** `--singular-max` (default: none), `--near-zero-max` (default: none).

    **Known problems.** A note says where the bounds of a share do not tell. The Jacobian of a
    network of tokens is that by its embedding. It takes as many ways back as the last layer has
    units, or for more than 4,096 of them 24 ways forth and back of 16 columns; with batch norm each
    takes as long as that of a whole batch, so a smaller `--batch` is faster.

    **Source.** Pennington, Schoenholz, Ganguli, arXiv:1711.04735.
    """
    bounds = {"largest": case.bounds.singular_max, "near_zero": case.bounds.near_zero_max}
    if case.run is None or all(bound is None for bound in bounds.values()):
        return None
    found = case.once("spectrum", _spectrum)
    if found is None or isinstance(found, SnstatError):
        return None
    measures, known = found.measures(NEAR_ZERO), found.near_zero_range(NEAR_ZERO)
    for name, bound in bounds.items():
        value, error = measures[name].estimate, measures[name].stderr
        spread, verb = "" if error is None else f"±{error:.1g}", "is"
        if name == "near_zero" and known is not None:
            value, spread, verb = known[0], "", "is at least"
        if bound is None or value is None or value <= bound:
            continue
        seen, _ = told_apart(value, bound, 4)
        text = f"{WORDS[name]} {verb} {seen}{spread}, above {bound:g}"
        return Broken(case.depth, value, bound, text)
    return None
