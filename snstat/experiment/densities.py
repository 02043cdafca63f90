"""Measured densities of activations beside those at infinite width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from snstat.activation import resolve
from snstat.experiment.plan import LESS, Plan
from snstat.gaussian.law import atom_probabilities, atom_values, input_density, law_density
from snstat.limits import require_memory
from snstat.network.stack import Stack
from snstat.results import MEASURED, Densities, FloatArray
from snstat.theory.predict import predict

if TYPE_CHECKING:
    from snstat.engine.densities import Histogram


def densities(plan: Plan, layers: Sequence[int]) -> Densities:
    """Simulate the network of `plan` again and return the densities of its activations.

    `layers` are ascending. Each density comes with the density at infinite width. Raises
    InvalidValueError if the simulation does not fit in memory.
    """
    from snstat.engine.densities import densities as measure

    # All activations of a layer at once, in float64, and arrays computed from them.
    pooled = plan.trials * plan.inputs.batch * max(plan.stack.widest, plan.inputs.width)
    statistics = plan.trials * layers[-1] * 9 * len(MEASURED)
    require_memory(plan.footprint("dense") + 3 * 8 * pooled + statistics, LESS)
    found = measure(
        plan.stack,
        plan.inputs,
        layers,
        lambda layer: _atoms_of(plan.stack, layer),
        trials=plan.trials,
        seed=plan.seed,
        dtype=plan.dtype,
    )
    return _beside_law(plan, found)


def _atoms_of(stack: Stack, layer: int) -> tuple[float, ...]:
    """Return the atoms of a layer: values that activations take with positive probability."""
    return () if layer == 0 else atom_values(resolve(stack.activation_of(layer)))


def _beside_law(plan: Plan, histograms: Sequence[Histogram]) -> Densities:
    """Return the record of `histograms` (layers ascending) with densities at infinite width: those
    of all classes of samples, weighted by their shares."""
    stack, rows = plan.stack, len(histograms)
    atoms = sorted({atom for entry in histograms for atom in _atoms_of(stack, entry.layer)})
    shares, chances = np.full((2, rows, len(atoms)), math.nan)
    laws = [np.full(len(entry.density), math.nan) for entry in histograms]
    prediction = predict(stack, plan.inputs.batch, plan.inputs.moments())
    counted = prediction.shares > 0  # the largest sample is also in another class
    classes, weights = prediction.sample_second_moment[:, counted], prediction.shares[counted]
    for row, entry in enumerate(histograms):
        if entry.layer == 0:
            laws[row] = _input_law(plan, entry.edges)
        elif np.isfinite(classes[entry.layer]).all():
            q = classes[entry.layer].tolist()
            activation = resolve(stack.activation_of(entry.layer))
            own = [atoms.index(atom) for atom in atom_values(activation)]
            shares[row, own] = entry.shares
            chances[row, own] = weights @ [atom_probabilities(activation, each) for each in q]
            if entry.variance > 0:
                laws[row] = weights @ [law_density(activation, each, entry.edges) for each in q]
    return Densities(
        plan.summary,
        replace(plan.simulation, sampler="dense"),
        np.array([entry.layer for entry in histograms], dtype=np.int64),
        np.array([entry.edges for entry in histograms]),
        np.array([entry.density for entry in histograms]),
        np.array([entry.mean for entry in histograms]),
        np.array([entry.variance for entry in histograms]),
        np.array(laws),
        np.array(atoms),
        shares,
        chances,
    )


def _input_law(plan: Plan, edges: FloatArray) -> FloatArray:
    """Return the density of drawn inputs, NaN for data."""
    mean, std = plan.inputs.parameters
    if mean is None or std is None:
        return np.full(len(edges) - 1, math.nan)
    return input_density(plan.inputs.label, mean, std, edges)
