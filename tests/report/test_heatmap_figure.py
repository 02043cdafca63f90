"""Densities of every layer as shades."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from snstat.errors import InvalidValueError
from snstat.report.figures import draw_heatmap
from snstat.report.figures.heatmap import shades_of
from snstat.report.figures.style import STYLES
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


@pytest.mark.parametrize("style", ["light", "dark"])
def test_shades_go_one_way_from_the_ground(style: str) -> None:
    """In lightness L* of CIE 1976, computed here: equal steps, so that none looks like an edge."""
    look = STYLES[style]
    colors = shades_of(look)(np.linspace(0.0, 1.0, 21))[:, :3]
    np.testing.assert_allclose(colors[0], to_rgb(look.ground), atol=1e-12)
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    dim = luminance < (6 / 29) ** 3
    lightness = np.where(dim, luminance * (29 / 3) ** 3, 116 * np.cbrt(luminance) - 16)
    steps = np.diff(lightness) * (-1 if style == "light" else 1)
    assert steps.min() > 0
    assert steps.max() < 2 * np.median(steps)


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
