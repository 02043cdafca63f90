"""Records with realistic values, made without simulation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snstat.results import (
    STATISTICS,
    Check,
    CorrelationCurve,
    CorrelationFixedPoint,
    Densities,
    Finding,
    FixedPoint,
    FixedPointReport,
    FloatArray,
    LayerSpectrum,
    MapField,
    Outlook,
    Run,
    Simulation,
    Source,
    Spectrum,
    SpectrumTheory,
    StackSummary,
    Statistic,
    TheoremResult,
)
from snstat.results.sweep import Sweep

LIMITS = {"mean": 0.0, "variance": 1.0, "second_moment": 1.0, "kurtosis": 3.0, "cosine": 0.0}


def make_run(
    activation: str = "selu",
    depth: int = 64,
    *,
    growth: float = 1.0,
    drift: float = 0.0,
    cosine: float | None = None,
    nonfinite_from: int | None = None,
    completed: int | None = None,
    outlook: Outlook | None = None,
    width: int = 1024,
    trials: int = 8,
    inputs: str = "normal",
    seed: int = 0,
) -> Run:
    """Return a run whose second moment changes by `growth` per layer.

    `drift` is the share of the squared mean, `cosine` that of the last layer (0 throughout if
    None), `nonfinite_from` the first layer that overflowed, `completed` the last layer of an
    interrupted run. Estimates scatter around theory by their standard error.
    """
    generator = np.random.default_rng(seed)
    layers = np.arange(depth + 1)
    moment = growth ** layers.astype(float)
    theory: dict[str, FloatArray] = {
        "mean": np.sqrt(drift * moment) * (layers > 0),
        "variance": moment * (1 - drift * (layers > 0)),
        "second_moment": moment,
        "variance_over_batch": moment * (1 - drift),
        "variance_over_units": moment * (1 - drift),
        "cosine": np.zeros(depth + 1) if cosine is None else cosine * layers / (layers + 1.0),
        "kurtosis": np.full(depth + 1, 3.0),
        "dead_fraction": np.zeros(depth + 1),
    }
    scale = dict.fromkeys(STATISTICS, 0.0014 * moment)
    scale["mean"] = 0.0014 * np.sqrt(moment)
    scale["cosine"] = np.full(depth + 1, 0.0006)
    scale["dead_fraction"] = np.zeros(depth + 1)
    finite = np.ones(depth + 1, dtype=bool)
    if nonfinite_from is not None:
        finite[nonfinite_from:] = False
    end = depth + 1 if completed is None else completed + 1
    statistics = {}
    for name in STATISTICS:
        stderr = scale[name] * generator.uniform(0.7, 1.4, depth + 1)
        estimate = theory[name] + stderr * generator.standard_normal(depth + 1)
        if trials < 2:
            stderr = np.full(depth + 1, np.nan)
        stderr, estimate = np.where(finite, stderr, np.nan), np.where(finite, estimate, np.nan)
        statistics[name] = Statistic(estimate[:end], stderr[:end], theory[name][:end])
    simulation = Simulation(64, trials, 0, "float32", "dense", inputs, 0.0, 1.0)
    stack = StackSummary(activation, depth, width, width, "lecun_normal", 1.0, 0.0)
    if outlook is None:
        outlook = Outlook("converges", 0.0, 1.0, 0.782648, 1.071575, 1.071575 ** min(depth, 9000))
    return Run(stack, simulation, finite[:end], statistics, outlook, completed is not None)


def make_finding(**changes: Any) -> Finding:
    """Return a finding of rule SN202 for a deep stack of SELU, with `changes` to its fields."""
    remedy = "use at most 199 layers, or --weight-gain 0.966 (now 1)"
    finding = Finding(
        code="SN202",
        name="gradient-exploding",
        layer=313,
        value=1.9e15,
        bound=1e6,
        message="squared gradients grow ×1.9e+15 from the last layer back to the input, and pass"
        f" the bound of ×1e+06 at layer 313: {remedy}",
        remedy=remedy,
    )
    return replace(finding, **changes)


def make_check(*findings: Finding, **changes: Any) -> Check:
    """Return the check of a deep stack of SELU, failed if there are `findings`."""
    run = make_run(depth=512)
    check = Check(
        name="default",
        verdict="gradient-exploding" if findings else "self-normalizing",
        findings=findings,
        subject=run.subject,
        simulation=run.simulation,
    )
    return replace(check, **changes)


def make_checks() -> list[Check]:
    """Return a check with two findings, one passed with a note, and one passed without."""
    collapse = make_finding(
        code="SN301",
        name="inputs-collapse",
        layer=38,
        value=0.9991,
        bound=0.999,
        message="inputs collapse: any two have cosine 0.9991 at layer 38, at or above the bound"
        " 0.999; no weight gain or depth was found that would help",
        remedy="",
    )
    note = "SN501 leaves out kurtosis"
    return [
        make_check(make_finding(), collapse, source=Source("pyproject.toml", 41), notes=(note,)),
        make_check(name="encoder", baseline="base.json", notes=(note,)),
        make_check(name="head", verdict="stable", source=Source("pyproject.toml", 57)),
    ]


def make_report(**changes: Any) -> FixedPointReport:
    """Return the fixed point of SELU in the ensemble map, with `changes` to its fields."""
    point = FixedPoint(
        mean=0.0,
        variance=1.0,
        second_moment=1.0,
        stable=True,
        jacobian=((0.0, 0.0888348), (0.0, 0.782648)),
        eigenvalues=((0.782648, 0.0), (0.0, 0.0)),
        spectral_norm=0.787673,
        spectral_radius=0.782648,
        depth_scale=-1 / np.log(0.782648),
        gradient_growth=1.071575,
        correlations=(
            CorrelationFixedPoint(0.0, 0.97068, True, -1 / np.log(0.97068)),
            CorrelationFixedPoint(1.0, 1.071575, False, None),
        ),
    )
    report = FixedPointReport(
        activation="selu",
        map="ensemble",
        parameters={"weight_gain": 1.0, "bias_std": 0.0},
        fixed_points=(point,),
        continuum=False,
        at_infinity="returns",
    )
    return replace(report, **changes)


def make_theorem(**changes: Any) -> TheoremResult:
    """Return theorem 1 of the SNN paper, verified, with `changes` to its fields."""
    where = {"mean": -0.1, "weight_sum": 0.1, "variance": 1.5, "weight_square_sum": 1.1}
    result = TheoremResult(
        name="theorem 1",
        claim="the map stays in the domain and contracts to a unique stable fixed point",
        domain={
            "mean": (-0.1, 0.1),
            "weight_sum": (-0.1, 0.1),
            "variance": (0.8, 1.5),
            "weight_square_sum": (0.95, 1.1),
        },
        extremes={
            "smallest_new_mean": (-0.03106521, where),
            "largest_new_variance": (1.48617, where),
            "largest_singular_value": (0.989753, where),
        },
        points=123456,
        holds=True,
    )
    return replace(result, **changes)


def make_field(**changes: Any) -> MapField:
    """Return a map that contracts to (0, 1), on a grid around it, with `changes` to its fields."""
    means, variances = np.linspace(-0.6, 0.6, 49), np.linspace(0.2, 2.2, 51)
    mean, variance = np.meshgrid(means, variances)
    new_mean, new_variance = 0.09 * (variance - 1) + 0.02 * mean, 1 + 0.78 * (variance - 1)
    paths = []
    for start in ((-0.5, 0.4), (0.5, 2.0), (0.4, 0.6)):
        path = [start]
        for _ in range(15):
            _, last = path[-1]
            path.append((0.09 * (last - 1) + 0.02 * path[-1][0], 1 + 0.78 * (last - 1)))
        paths.append(np.array(path))
    field = MapField(
        activation="selu",
        map="unit",
        parameters={"weight_sum": 0.0, "weight_square_sum": 1.0},
        means=means,
        variances=variances,
        new_mean=new_mean,
        new_variance=new_variance + 0.05 * mean**2,
        fixed_points=make_report().fixed_points,
        trajectories=tuple(paths),
        domain=(-0.1, 0.1, 0.8, 1.5),
    )
    return replace(field, **changes)


def make_densities(*, growth: float = 1.0, bins: int = 80) -> Densities:
    """Return the densities of a skewed variable whose variance changes by `growth` per layer."""
    generator = np.random.default_rng(1)
    layers = np.array([0, 1, 2, 4, 8, 16, 32, 64])
    edges, density, mean, variance, law = [], [], [], [], []
    for layer in layers:
        draws = generator.standard_normal(20_000)
        skewed = np.where(draws > 0, 1.05 * draws, 1.76 * np.expm1(draws)) if layer else draws
        values = skewed * growth ** (layer / 2)
        heights, places = np.histogram(values, bins=bins, density=True)
        edges.append(places)
        density.append(heights)
        mean.append(values.mean())
        variance.append(values.var())
        law.append(np.full(bins, np.nan))
    run = make_run()
    return Densities(
        run.stack,
        run.simulation,
        layers,
        np.array(edges),
        np.array(density),
        np.array(mean),
        np.array(variance),
        np.array(law),
        np.zeros(0),
        np.zeros((len(layers), 0)),
        np.zeros((len(layers), 0)),
    )


def make_curves() -> list[CorrelationCurve]:
    """Return the correlation maps of ReLU (exact, Cho and Saul 2009) and of a chaotic network."""
    correlations = np.linspace(0, 1, 201)
    relu = np.sqrt(1 - correlations**2) + correlations * (np.pi - np.arccos(correlations))
    chaotic = 0.2 + 0.2 * correlations + 0.6 * correlations**4
    return [
        CorrelationCurve(
            "relu",
            np.sqrt(2),
            0.0,
            1.0,
            correlations,
            relu / np.pi,
            (CorrelationFixedPoint(1.0, 1.0, False, None),),
        ),
        CorrelationCurve(
            "tanh",
            1.5,
            0.1,
            0.7,
            correlations,
            chaotic,
            (
                CorrelationFixedPoint(0.25, 0.24, True, 0.7),
                CorrelationFixedPoint(1.0, 2.6, False, None),
            ),
        ),
    ]


def make_spectrum(layers: int = 2, depth: int = 9) -> Spectrum:
    """Return singular values over some decades, with a curve of theory for the last layer."""
    random = np.random.default_rng(0)
    logs = np.linspace(-6.0, 1.0, 50)
    theory = SpectrumTheory(1.0, 2.0, 3.0, 0.5, 0.0, logs, np.full(50, 1.0 / 7.0))
    found = tuple(
        LayerSpectrum(
            place + 1,
            str(place + 1),
            -np.sort(-np.exp(random.uniform(-6.0, 1.0, (2, 30))), axis=1),
            theory if place + 1 == layers else SpectrumTheory(),
        )
        for place in range(layers)
    )
    run = make_run(depth=depth)
    return Spectrum(run.subject, run.simulation, 0.001, found)


ENDS = ("_estimate", "_stderr", "_theory", "_expected")


def make_sweep(**columns: Any) -> Sweep:
    """Return the table of cells of one row with these columns, which are all stable by default."""
    number = len(next(iter(columns.values())))
    after = tuple(name for name in columns if name.endswith(ENDS) or name in ("verdict", "error"))
    found = {
        "cell": [str(row) for row in range(number)],
        **{name: values for name, values in columns.items() if name not in after},
        "layer": [3.0] * number,
        "verdict": ["stable"] * number,
        "error": [""] * number,
        **{name: columns[name] for name in after},
    }
    arrays = {
        name: np.array(values, object if isinstance(values[0], str) else float)
        for name, values in found.items()
    }
    return Sweep(arrays, ("width", "seed") if "width" in columns else ("blocks",))
