"""Measured densities of activations beside those at infinite width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from snstat.activation import resolve
from snstat.errors import InvalidValueError
from snstat.experiment.network_plan import NetworkPlan
from snstat.experiment.plan import LESS, Plan
from snstat.experiment.plans import AnyPlan
from snstat.gaussian.law import atom_probabilities, atom_values, input_density, law_density
from snstat.limits import require_memory
from snstat.network.stack import Stack
from snstat.results import MEASURED, Densities, FloatArray, NetworkSummary
from snstat.theory.predict import predict

if TYPE_CHECKING:
    from snstat.engine.densities import Histogram
    from snstat.results import Subject

DOUBLE = 8
LINEAR = "identity"


def with_densities(subject: Subject, layers: Sequence[int]) -> list[int]:
    """Return those of `layers` that have a density of activations: not layer 0 where it holds
    numbers of tokens. Raises InvalidValueError where none of them has."""
    tokens = isinstance(subject, NetworkSummary) and subject.tokens
    found = [layer for layer in layers if layer or not tokens]
    if layers and not found:
        raise InvalidValueError("layers", 0, "layers after the tokens, which have no density")
    return found


def densities(plan: AnyPlan, layers: Sequence[int]) -> Densities:
    """Simulate the network of `plan` again and return the densities of its activations.

    `layers` are ascending. Each density comes with the density at infinite width, NaN where that is
    not known. Raises InvalidValueError if the simulation does not fit in memory.
    """
    from snstat.engine.densities import densities as measure

    if isinstance(plan, NetworkPlan):
        return _of_network(plan, layers)
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
    return _record(plan, histograms, laws, atoms, shares, chances)


def _of_network(plan: NetworkPlan, layers: Sequence[int]) -> Densities:
    """Return the densities of a network of any layers."""
    from snstat.engine.general.densities import network_densities

    plan.require_memory(3.0 * DOUBLE * plan.trials * plan.inputs.batch * plan.widest)
    rows = plan.network.rows([number for number in layers if number])
    named = {row.number: row.activation for row in rows if row.activation is not None}
    own = {number: atom_values(resolve(name)) for number, name in named.items()}
    histograms = network_densities(
        plan.network,
        plan.inputs,
        layers,
        lambda layer: own.get(layer, ()),
        trials=plan.trials,
        seed=plan.seed,
        dtype=plan.dtype,
        train=plan.train,
        given=plan.given_layers(),
        population=plan.population,
    )
    atoms = sorted({atom for entry in histograms for atom in own.get(entry.layer, ())})
    shares, chances = np.full((2, len(histograms), len(atoms)), math.nan)
    laws = [np.full(len(entry.density), math.nan) for entry in histograms]
    second_moment = plan.predict(plan.inputs.moments()).second_moment
    for row, entry in enumerate(histograms):
        shares[row, [atoms.index(atom) for atom in own.get(entry.layer, ())]] = entry.shares
        q = float(second_moment[entry.layer])
        if entry.layer == 0:
            laws[row] = _input_law(plan, entry.edges)
        elif named.get(entry.layer) == LINEAR and math.isfinite(q) and entry.variance > 0:
            # What leaves a matrix is Gaussian; what an activation is fed, the record does not say.
            laws[row] = input_density("normal", 0.0, math.sqrt(q), entry.edges)
    return _record(plan, histograms, laws, atoms, shares, chances)


def _record(
    plan: AnyPlan,
    histograms: Sequence[Histogram],
    laws: Sequence[FloatArray],
    atoms: Sequence[float],
    shares: FloatArray,
    chances: FloatArray,
) -> Densities:
    return Densities(
        plan.subject,
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


def _input_law(plan: AnyPlan, edges: FloatArray) -> FloatArray:
    """Return the density of drawn inputs, NaN for data."""
    mean, std = plan.inputs.parameters
    if mean is None or std is None:
        return np.full(len(edges) - 1, math.nan)
    return input_density(plan.inputs.label, mean, std, edges)
