"""Has the stack changed since its baseline? SN701."""

from __future__ import annotations

from collections.abc import Iterator

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.rule import Broken, Remedy, rule
from snstat.checks.stack_case import StackCase
from snstat.errors import InvalidValueError
from snstat.results import Run

# What the networks that are drawn depend on, beside the stack.
DRAWS = ("seed", "trials", "batch", "dtype", "sampler", "infinite_width")


def _undo(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's signature
    yield Remedy("undo the change, or accept it with --write-baseline", None)


def _no_baseline(case: Case) -> Obstacle | None:
    """Return why there are no two runs to compare."""
    if case.baseline is not None:
        return None
    return Obstacle("there is nothing to compare with: use --baseline", plain=True)


@rule("SN701", "baseline-drift", families=(_undo,), obstacle=_no_baseline)
def drifts(case: Case) -> Broken | None:
    """The stack differs from its baseline beyond chance and --min-effect.

    **What it does.** It compares a run with that of `--baseline`, and finds the first layer at
    which they differ by more than chance and by more than `--min-effect`. Gradients depend on all
    later layers, so they are told only if nothing else differs. Another number of layers is a
    difference too, even if the shared layers agree. Layers of network files are matched by name and
    kind, so a layer that was inserted is a note and leaves the others where they were. With
    `--same-seed` the same networks are drawn, and all numbers must be equal to the last bit. Where
    a layer was inserted or removed, that holds for the layers before it; later ones have other
    numbers and so other draws, and are compared as without the option.

    **Why it matters.** A change that was not meant to affect the initialisation has affected it:
    another gain, another activation, a truncated normal without its correction.

    **What is compared.** Every statistic of every layer that both runs have. The runs draw
    different networks, so their difference is compared with its own standard error √(s₁² + s₂²), by
    Student's t with the degrees of freedom of Welch and Satterthwaite (fewer if the numbers of
    trials differ, because the standard error of few trials is itself uncertain). All comparisons of
    a check together have a false alarm in at most one of 200 checks (Bonferroni). Differences below
    `--min-effect` are ignored. They are relative to the baseline's value, for the mean to its root
    mean square; differences of the cosine and of shares of units and samples are absolute, those of
    gradients are of the logarithm.

    Fisher's F compares how much second moments vary from trial to trial, if they vary by at most a
    tenth: orthogonal weights, for example, keep norms. The kurtosis of activations, averaged over
    all layers of each trial (`log_kurtosis` in the JSON), is compared separately, with a tenth of
    the false alarms and a tenth of `--min-effect`: it shows whether weights have another
    distribution.

    **Example.**

    ```console
    $ snstat check --depth 8 --width 256 --write-baseline base.json
    passed default: self-normalizing
      SELU · 8 layers of 256 · lecun_normal (gain 1)
      8 trials × batch 64 · float32, matrix-free, seed 0
    $ snstat check --baseline base.json --weight-gain 1.05 --select SN701
    FAILED default: stable, but breaks SN701
      SELU · 8 layers of 256 · lecun_normal (gain 1.05)
      8 trials × batch 64 · float32, matrix-free, seed 1
      compared with base.json
      SN701 baseline-drift, layer 1: differs from the baseline at layer 1: second
            moment 1.079±0.005, was 1.005±0.005, +7.4% (p = 9e-06 over 72
            comparisons)
            → undo the change, or accept it with --write-baseline
      note: the stack differs from the baseline: weight gain is 1.05, was 1.0
    ```

    **How to fix it.** Undo the change. If it was intended, accept it with `--write-baseline`.

    **Options.** `--min-effect` (default 0.01), `--trials` (default 8).

    **Known problems.** Few trials detect only large differences; `snstat check` says so below 4
    trials. The largest activation is too skewed for Student's t and is compared with `--same-seed`
    only. Weights of another distribution but equal variance (uniform for normal) change statistics
    only by 1/width. At 16 layers of 128 and batch 16, the mean kurtosis detects them with
    probability 0.9 if both runs have about 220 trials (SELU), 270 (tanh) or 1,400 (ReLU); with 8
    trials no statistic does. The kurtosis of a single layer needs one to several thousand trials,
    and so does the spread of second moments between trials, which changes by 2 to 4 %.

    **Source.** Welch, *The generalization of "Student's" problem when several different population
    variances are involved* (1947); Satterthwaite, *An approximate distribution of estimates of
    variance components* (1946); docs/check-power.md.
    """
    run, baseline = case.run, case.baseline
    if run is None or baseline is None:
        return None
    # What compares runs is imported where there are two: most checks have no baseline.
    if case.same_seed:
        from snstat.checks.same_draws import drifts_from

        _require_same_draws(run, baseline)
        return drifts_from(case, run, baseline)
    from snstat.checks.baseline import compare
    from snstat.checks.matching import matched

    return compare(run, matched(run, baseline), case.bounds.min_effect)


def _require_same_draws(run: Run, baseline: Run) -> None:
    alike = run.network == baseline.network
    for key in DRAWS:
        # Of networks that differ, the names of samplers say less than those of layers.
        if key == "sampler" and not alike:
            continue
        if run.simulation[key] != baseline.simulation[key]:
            raise InvalidValueError(
                key,
                run.simulation[key],
                f"{baseline.simulation[key]}, as in the baseline",
                "only then are the networks the same",
            )
