"""Densities of every layer as shades."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.report.figures import draw_heatmap
from tests.report.builders import make_densities


@pytest.mark.parametrize("growth", [1.0, 1.5])
def test_columns_are_densities_at_their_values(growth: float) -> None:
    densities = make_densities(growth=growth)
    figure = draw_heatmap(densities)
    meshes = [entry for entry in figure.axes[0].collections if hasattr(entry, "get_coordinates")]
    assert len(meshes) == len(densities.layers)
    for place, mesh in enumerate(meshes):
        edges = mesh.get_coordinates()[:, 0, 1]
        values = np.asarray(mesh.get_array()).ravel()
        own, unit = densities.edges[place], 1.0
        if growth > 1:  # in standard deviations from the mean
            unit = float(np.sqrt(densities.variance[place]))
            own = (own - densities.mean[place]) / unit
        np.testing.assert_allclose(edges, own, atol=1e-12)
        # What is below the last shade has it.
        raised = np.maximum(densities.density[place] * unit, values.min())
        np.testing.assert_allclose(values, raised)


def test_single_values_are_dots_of_their_probability() -> None:
    densities = make_densities()
    shares = np.full((len(densities.layers), 1), 0.5)
    found = replace(densities, atoms=np.array([0.0]), atom_shares=shares, atom_law=shares)
    figure = draw_heatmap(found)
    dots = [entry for entry in figure.axes[0].collections if not hasattr(entry, "get_coordinates")]
    assert [float(entry.get_sizes()[0]) for entry in dots] == [20.0] * len(densities.layers)
    assert "single value" in figure.get_supxlabel().replace("\n", " ")


def test_nothing_to_draw_is_refused() -> None:
    densities = make_densities()
    with pytest.raises(InvalidValueError, match="density"):
        draw_heatmap(replace(densities, density=np.zeros_like(densities.density)))
