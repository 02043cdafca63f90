"""The distribution of an activation: its density by a change of variables, its atoms by
definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from snstat.activation import ACTIVATIONS
from snstat.gaussian.law import atom_probabilities, atom_values, input_density, law_density

QS = (0.01, 1.0, 9.0)


@pytest.mark.parametrize("q", QS)
def test_atoms_of_relu_and_hard_tanh(q):
    relu, hard = ACTIVATIONS["relu"], ACTIVATIONS["hard_tanh"]
    assert atom_values(relu) == (0.0,)
    assert atom_probabilities(relu, q) == pytest.approx([0.5], abs=1e-15)
    assert atom_values(hard) == (-1.0, 1.0)
    tail = stats.norm.sf(1.0 / math.sqrt(q))
    assert atom_probabilities(hard, q) == pytest.approx([tail, tail], rel=1e-12)
    assert atom_values(ACTIVATIONS["tanh"]) == ()
    # Without variance all units are φ(0).
    assert atom_probabilities(relu, 0.0).tolist() == [1.0]
    assert atom_probabilities(hard, 0.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("q", QS)
def test_density_and_atoms_have_total_1_and_the_right_mean(name, q):
    activation = ACTIVATIONS[name]
    z = np.linspace(-12.0, 12.0, 200_001) * math.sqrt(q)
    values = activation.function(z)
    # The grid misses the minimum of φ by φ''·dz²/2, below 1e-6.
    edges = np.linspace(values.min() - 1e-6, values.max() + 1e-6, 4001)
    density = law_density(activation, q, edges)
    atoms, chances = np.array(atom_values(activation)), atom_probabilities(activation, q)
    share = density * np.diff(edges)
    # The distribution is divided into cells of probability 2⁻¹⁷ each.
    assert share.sum() + chances.sum() == pytest.approx(1.0, abs=2e-5)
    # A value stands for all in its bin, so that the bin width bounds the error.
    middles = (edges[1:] + edges[:-1]) / 2
    mean = float(share @ middles + (chances @ atoms if atoms.size else 0.0))
    weight = stats.norm.pdf(z, scale=math.sqrt(q))
    assert mean == pytest.approx(
        integrate.trapezoid(values * weight, z), abs=2.0 * (edges[1] - edges[0])
    )


@pytest.mark.parametrize("q", QS)
def test_density_of_tanh_by_change_of_variables(q):
    edges = np.linspace(-0.9, 0.9, 41)
    density = law_density(ACTIVATIONS["tanh"], q, edges)
    cumulative = stats.norm.cdf(np.arctanh(edges), scale=math.sqrt(q))
    # Each end of a bin is off by at most one cell.
    assert density == pytest.approx(np.diff(cumulative) / np.diff(edges), abs=2 / 2**17 / 0.045)


def test_density_of_inputs():
    edges = np.linspace(-3.0, 5.0, 81)
    for kind, law in (
        ("normal", stats.norm(1.0, 2.0)),
        ("uniform", stats.uniform(1.0 - 2.0 * math.sqrt(3.0), 4.0 * math.sqrt(3.0))),
    ):
        expected = np.diff(law.cdf(edges)) / np.diff(edges)
        assert input_density(kind, 1.0, 2.0, edges) == pytest.approx(expected, abs=1e-14)
    assert np.isnan(input_density("normal", 1.0, 0.0, edges)).all()
