"""How does the Jacobian stretch small changes of the input? SN204."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.rule import Broken, rule
from snstat.errors import SnstatError

if TYPE_CHECKING:
    from snstat.results import Measure

# Singular values of at most this share of the largest are near zero.
NEAR_ZERO = 1e-3
WORDS = {
    "largest": "the largest singular value of the Jacobian",
    "near_zero": "the share of the Jacobian's singular values near 0",
}


def _spectrum(case: Case) -> Mapping[str, Measure] | SnstatError | None:
    """Return what the Jacobians of the network are measured to be, or why they are not; None for a
    network that is only thought of."""
    if case.run is None:
        return None
    from snstat.experiment.spectrum_plan import SpectrumPlan

    try:
        found = SpectrumPlan.of_run(case.run, NEAR_ZERO).run()
    except SnstatError as error:
        return error
    return found.layers[-1].measures(NEAR_ZERO)


def _no_spectrum(case: Case) -> Obstacle | None:
    """Return why the Jacobian is not looked at."""
    bounds = case.bounds
    if bounds.singular_max is None and bounds.near_zero_max is None:
        return Obstacle("no bound is given: use --singular-max or --near-zero-max", plain=True)
    found = case.once("spectrum", _spectrum)
    return Obstacle(str(found)) if isinstance(found, SnstatError) else None


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

    **Known problems.** Batch norm in train mode and tokens have no Jacobian of one sample, and a
    note says so. Of layers and inputs that both have more than 4,096 units it is not taken. It
    takes as many ways back as the last layer has units.

    **Source.** Pennington, Schoenholz, Ganguli, arXiv:1711.04735.
    """
    bounds = {"largest": case.bounds.singular_max, "near_zero": case.bounds.near_zero_max}
    if case.run is None or all(bound is None for bound in bounds.values()):
        return None
    found = case.once("spectrum", _spectrum)
    if found is None or isinstance(found, SnstatError):
        return None
    for name, bound in bounds.items():
        value = found[name].estimate
        if bound is None or value is None or value <= bound:
            continue
        error = found[name].stderr
        spread = "" if error is None else f"±{error:.1g}"
        text = f"{WORDS[name]} is {value:.4g}{spread}, above {bound:g}"
        return Broken(case.depth, value, bound, text)
    return None
