"""Parts of the record that all plans share: how a network is simulated, and its statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from snstat.results import (
    DataSummary,
    FloatArray,
    InputMoments,
    LayerMean,
    Simulation,
    Statistic,
)

if TYPE_CHECKING:
    from snstat.engine.inputs import Inputs
    from snstat.engine.simulate import Measured

_UNKNOWN: Mapping[str, FloatArray] = {}


def simulation_of(
    source: Inputs, *, trials: int, seed: int, dtype: str, sampler: str, train: bool
) -> Simulation:
    """Return the record of how a network with inputs from `source` is simulated."""
    mean, std = source.parameters
    return Simulation(
        source.batch,
        trials,
        seed,
        dtype,
        sampler,
        source.label,
        mean,
        std,
        standardize=source.prepared["standardize"],
        flatten=source.prepared["flatten"],
        train=train,
    )


def measured_statistics(
    measured: Measured,
    theory: Mapping[str, FloatArray],
    expected: Mapping[str, FloatArray] = _UNKNOWN,
    neglected: Mapping[str, FloatArray] = _UNKNOWN,
) -> dict[str, Statistic]:
    """Return what was measured beside its theory at infinite width, at this width (`expected`), and
    what the latter neglects, each array (depth + 1,) and NaN where it is left out."""
    layers = len(measured.finite)
    unknown = np.full(layers, math.nan)

    def known(found: Mapping[str, FloatArray], name: str) -> FloatArray:
        return found.get(name, unknown)[:layers]

    return {
        name: Statistic(
            np.ascontiguousarray(measured.estimate[:, column]),
            np.ascontiguousarray(measured.stderr[:, column]),
            known(theory, name),
            known(expected, name),
            known(neglected, name),
            trials=None if measured.values is None else measured.values[:, :, column],
        )
        for column, name in enumerate(measured.names)
    }


def gradient_statistic(
    log_gradient: FloatArray,
    log_theory: FloatArray,
    log_expected: FloatArray,
    log_neglected: FloatArray,
    *,
    keep_trials: bool = False,
) -> Statistic:
    """Return the geometric mean over trials of `log_gradient` (trials, layers), with theory at
    infinite width and at this width, and the size of the terms that the latter neglects."""
    trials = len(log_gradient)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = log_gradient.mean(axis=0)
        stderr = np.full_like(mean, math.nan)
        if trials > 1:
            stderr = log_gradient.std(axis=0, ddof=1) / math.sqrt(trials)
        return Statistic(
            np.exp(mean),
            stderr,
            np.exp(log_theory),
            np.exp(log_expected),
            log_neglected,
            logarithmic=True,
            trials=np.exp(log_gradient) if keep_trials else None,
        )


def layer_mean(values: FloatArray | None) -> LayerMean | None:
    """Return mean and standard error of one number per trial (trials,), None if not finite."""
    if values is None or len(values) < 2 or not np.isfinite(values).all():
        return None
    return LayerMean(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))


def data_summary(moments: InputMoments) -> DataSummary | None:
    """Return what a run keeps of data, None of drawn inputs."""
    if moments.drawn:
        return None
    return DataSummary(moments.largest, moments.norms, moments.cosine_spread)
