"""SN304 and SN403: what becomes of positions, against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.checks.applying import obstacle_of
from snstat.checks.bounds import Bounds
from snstat.checks.rules import RULES
from tests.checks.cases import case, dense, network_case, repeated

GRID = [8]


def conv(padding, **keys):
    return {"kind": "conv", "channels": 16, "kernel": 3, "padding": padding, **keys}


def on_grid(*layers, **keys):
    return network_case(*layers, channels=16, grid=GRID, batch=8, **keys)


@pytest.mark.parametrize("padding", ["same", "causal"])
def test_the_weakest_position_is_that_of_a_product_of_matrices(padding):
    """A linear convolution averages the second moments that its window reaches."""
    size, depth = GRID[0], 12
    reach = (-1, 0, 1) if padding == "same" else (-2, -1, 0)
    step = np.array([[(v - u) in reach for v in range(size)] for u in range(size)]) / 3.0
    square, shares = np.ones(size), []
    for _ in range(depth):
        square = step @ square
        shares.append(square.min() / square.mean())
    bound = math.sqrt(shares[5] * shares[6])  # the seventh layer is below it
    bounds = {"position_share_min": bound}
    found = RULES["SN403"](on_grid(repeated(depth, conv(padding)), bounds=bounds))
    assert found.layer == 7
    assert found.value == pytest.approx(shares[6], rel=1e-12)
    assert "at position 0 of layer 7" in found.text
    assert (
        RULES["SN403"](on_grid(repeated(6, conv(padding)), bounds={"position_share_min": bound}))
        is None
    )


def test_the_place_in_a_picture_is_its_row_and_column():
    """A corner keeps four ninths of what an inner position has."""
    found = network_case(conv("same"), channels=16, grid=[3, 4], batch=8)
    assert RULES["SN403"](found) is None
    found = replace(found, bounds=Bounds(position_share_min=0.7))
    broken = RULES["SN403"](found)
    shares = np.outer([2, 3, 2], [2, 3, 3, 2])
    assert broken.value == pytest.approx(shares[0, 0] / shares.mean(), rel=1e-12)
    assert "at position (0, 0) of layer 1" in broken.text


def test_without_padding_no_position_fades():
    assert RULES["SN403"](on_grid(repeated(40, conv("circular")))) is None
    normed = repeated(40, conv("same"), {"kind": "rms_norm"})
    assert RULES["SN403"](on_grid(normed)) is None


def arc_cosine_map(products):
    """Return E[φφ] of He's ReLU layer for the moments of pairs of lags, all of one size."""
    angle = np.arccos(np.clip(products / products[0], -1.0, 1.0))
    return products[0] * (np.sin(angle) + (math.pi - angle) * np.cos(angle)) / math.pi


def test_positions_on_a_ring_become_alike_as_lags_do():
    """On a ring each lag maps alone: a mean over the taps, which both positions share."""
    products = np.zeros(GRID[0])
    products[0] = 1.0
    cosines = []
    for _ in range(40):
        products = arc_cosine_map(products)  # of the pre-activations, the mean over taps
        cosines.append(products[1:].mean() / products[0])
    bound = math.sqrt(cosines[9] * cosines[10])
    keys = {"bounds": {"position_cosine_max": bound}}
    found = RULES["SN304"](on_grid(repeated(40, conv("circular", activation="relu")), **keys))
    assert found.layer == 11
    assert found.value == pytest.approx(cosines[10], rel=1e-9)


def test_what_is_left_of_the_difference_counts_where_positions_begin_alike():
    """With inputs of mean 1 and variance 1 the cosine begins at ½, and tanh keeps it."""
    lifted = {"mean": 1.0, "std": 1.0}
    layers = [repeated(12, conv("circular", activation="relu"))]
    low, high = on_grid(*layers), on_grid(*layers, **lifted)
    for found in (low, high):
        cosine = found.predicted("position_cosine")
        start = cosine[0]
        assert start == pytest.approx(0.5 if found is high else 0.0, abs=1e-12)
        bound = 1.0 - 0.02 * (1.0 - start)
        broken, bad = RULES["SN304"](found), np.flatnonzero(cosine >= bound)
        assert (broken.layer if broken else None) == (bad[0] if bad.size else None)


def test_what_is_within_a_residual_may_be_alike():
    """Attention averages tokens away, and the sum keeps them."""
    read = {"kind": "attention", "heads": 4}
    alone = on_grid(read, read)
    assert RULES["SN304"](alone).layer == 2
    streams = on_grid(*[{"kind": "residual", "layers": [read]}] * 2)
    theory = streams.theory.statistics["position_cosine"]
    assert theory[1] > 0.5 * RULES["SN304"](alone).bound
    assert RULES["SN304"](streams) is None
    assert np.isnan(streams.predicted("position_cosine")[[1, 3]]).all()


def test_why_positions_are_not_judged():
    one = on_grid({"kind": "global_mean_pool"}, dense(8))
    assert obstacle_of(one, "SN304") is None  # the input has positions
    alike = network_case(dense(8), channels=4, grid=[3], batch=8, mean=1.0, std=0.0)
    assert obstacle_of(alike, "SN304").why == "all positions are alike from the start"
    stack = case("relu", 4)
    assert obstacle_of(stack, "SN304").plain
    assert obstacle_of(stack, "SN403").plain


def test_what_a_connection_passes_by_is_not_lost():
    """Four causal convolutions leave 1/81 at the first of 8 positions, half of it on average, and
    the sum around them keeps the rest. What follows the sum is judged, and counted, again."""
    bounds = {"position_share_min": 0.05}
    four = [conv("causal") for _ in range(4)]
    assert RULES["SN403"](on_grid(*four, bounds=bounds)).layer == 4
    residual = {"kind": "residual", "layers": four}
    assert RULES["SN403"](on_grid(residual, bounds=bounds)) is None
    joined = {"kind": "concat", "inputs": ["input", "previous"]}
    assert RULES["SN403"](on_grid(*four, joined, bounds=bounds)) is None
    after = on_grid(residual, *four, bounds=bounds)
    assert RULES["SN403"](after).layer == 5 + 3
    pool = {"kind": "max_pool", "size": 3, "stride": 1, "padding": "same"}
    branch = {"kind": "residual", "layers": [pool, conv("same")]}
    assert RULES["SN403"].partly(on_grid(conv("same"), branch)) == (
        "not judged at 1 of 2 layers with several positions: no theory"
    )


def test_layers_whose_positions_theory_does_not_know_are_counted():
    """Behind a max pool, whose maximum theory does not know; a vector has no positions."""
    pool = {"kind": "max_pool", "size": 2}
    partly = RULES["SN403"].partly
    found = on_grid(conv("same"), pool, conv("same"), {"kind": "flatten"}, dense(4))
    assert obstacle_of(found, "SN403") is None
    assert partly(found) == "not judged at 2 of 3 layers with several positions: no theory"
    first = on_grid(pool, conv("same"))
    assert obstacle_of(first, "SN403").why == "theory knows no layer with several positions"
    assert not obstacle_of(first, "SN403").plain
    assert obstacle_of(on_grid({"kind": "flatten"}, dense(4)), "SN403").plain
    assert partly(on_grid(conv("same"), conv("same"))) == ""
