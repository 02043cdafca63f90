from __future__ import annotations

import itertools

import numpy as np
import pytest

import snstat
from snstat.theory.theorems import (
    _THEOREMS,
    COORDINATES,
    _climb,
    _grid,
    theorem_domain,
    verify_theorems,
)


@pytest.fixture(scope="module")
def results():
    return {result.name: result for result in verify_theorems()}


def test_every_theorem_holds(results):
    assert list(results) == ["theorem 1", "theorem 2", "theorem 3a", "theorem 3b"]
    assert all(result.holds for result in results.values())
    assert all(result.points > 4000 for result in results.values())


def value_at(name, where):
    """Return the quantity `name` at a point, by the public map and finite differences."""
    mean, weight_sum, variance, square_sum = (where[key] for key in COORDINATES)

    def image(mean, variance):
        weights = {"weight_sum": weight_sum, "weight_square_sum": square_sum}
        return np.array(snstat.unit_map("selu", mean, variance, **weights))

    if name.endswith("new_mean"):
        return image(mean, variance)[0]
    if name.endswith("new_variance"):
        return image(mean, variance)[1]
    if name.endswith("change_of_variance"):
        return image(mean, variance)[1] - variance
    h = 1e-5
    columns = [
        (image(mean + h, variance) - image(mean - h, variance)) / (2 * h),
        (image(mean, variance + h) - image(mean, variance - h)) / (2 * h),
    ]
    return np.linalg.norm(np.stack(columns, axis=1), 2)


def test_extremes_equal_the_values_at_their_points(results):
    for result in results.values():
        for name, (value, where) in result.extremes.items():
            # Central differences are accurate to h² = 1e-10.
            assert value == pytest.approx(value_at(name, where), rel=1e-8)


def test_no_random_point_is_more_extreme(results):
    random = np.random.default_rng(5)
    for result in results.values():
        low, high = np.array([result.domain[key] for key in COORDINATES]).T
        points = low + (high - low) * random.random((60, 4))
        # Half of them are corners, where these functions often have their extremes.
        points[:30] = np.where(random.random((30, 4)) < 0.5, low, high)
        for name, (value, _) in result.extremes.items():
            sign = -1.0 if name.startswith("smallest") else 1.0
            for point in points:
                found = value_at(name, dict(zip(COORDINATES, point, strict=True)))
                assert sign * found <= sign * value + 1e-8


def test_claims_follow_from_the_extremes(results):
    first = {name: value for name, (value, _) in results["theorem 1"].extremes.items()}
    assert first["smallest_new_mean"] > -0.1
    assert first["largest_new_mean"] < 0.1
    assert first["smallest_new_variance"] > 0.8
    assert first["largest_new_variance"] < 1.5
    assert first["largest_singular_value"] < 1
    assert results["theorem 2"].extremes["largest_change_of_variance"][0] < 0
    for name in ("theorem 3a", "theorem 3b"):
        assert results[name].extremes["smallest_change_of_variance"][0] > 0


def test_domains_by_point():
    weights = {"weight_sum": 0.0, "weight_square_sum": 1.0}
    assert theorem_domain(0.0, 1.0, **weights) == "1"
    assert theorem_domain(0.9, 5.0, **weights) == "2"
    assert theorem_domain(0.0, 0.1, **weights) == "3"
    assert theorem_domain(0.0, 0.2, **weights) == "3"
    assert theorem_domain(0.0, 0.2, weight_sum=0.0, weight_square_sum=0.85) is None
    assert theorem_domain(0.2, 1.0, **weights) is None


def test_bounds_are_the_ends_of_the_domain_that_the_map_stays_in():
    """And no change of the variance has a sign, and no matrix a size, that the claim denies."""
    for theorem in _THEOREMS:
        (mean, _, variance, _) = theorem.domain.values()
        expected = {
            "smallest_new_mean": (-1.0, mean[0]),
            "largest_new_mean": (1.0, mean[1]),
            "smallest_new_variance": (-1.0, variance[0]),
            "largest_new_variance": (1.0, variance[1]),
            "largest_singular_value": (1.0, 1.0),
            "largest_change_of_variance": (1.0, 0.0),
            "smallest_change_of_variance": (-1.0, 0.0),
        }
        for name, (_, sign, bound) in theorem.extremes.items():
            assert (sign, bound) == expected[name]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_climb_ends_at_an_extreme_within_the_box_or_at_its_edge(sign):
    domain = {"mean": (-1.0, 2.0), "weight_sum": (3.0, 5.0), "variance": (0.5, 8.0)}
    domain["weight_square_sum"] = (-4.0, -1.0)
    low, high = np.array(list(domain.values())).T
    top = np.array([0.5, 4.5, 9.0, -2.0])  # the third is beyond
    ends = np.array([0.5, 4.5, 8.0, -2.0])

    def quantity(points):
        return sign * (7.0 - ((points - top) ** 2).sum(axis=1))

    point, height, evaluations = _climb(quantity, sign, 0.7 * low + 0.3 * high, domain)
    # Near a maximum the height is flat to the square of the distance.
    np.testing.assert_allclose(point, ends, atol=1e-3)
    assert height == pytest.approx(6.0, abs=1e-6)
    assert evaluations > 1


# Of the paper: mean, weight sum, variance and weight square sum.
DOMAINS = {
    "theorem 1": ((-0.1, 0.1), (-0.1, 0.1), (0.8, 1.5), (0.95, 1.1)),
    "theorem 2": ((-1.0, 1.0), (-0.1, 0.1), (3.0, 16.0), (0.8, 1.25)),
    "theorem 3a": ((-0.1, 0.1), (-0.1, 0.1), (0.02, 0.16), (0.8, 1.25)),
    "theorem 3b": ((-0.1, 0.1), (-0.1, 0.1), (0.02, 0.24), (0.9, 1.25)),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_a_point_is_in_a_domain_up_to_its_ends_in_the_paper(name):
    low, high = np.array(DOMAINS[name]).T
    # Where the other part of theorem 3 does not hold.
    middle = np.array([0.0, 0.0, 0.2 if name == "theorem 3b" else (low[2] + high[2]) / 2.0, 1.0])
    for place, step in itertools.product(range(4), (-0.01, 0.01)):
        point = middle.copy()
        point[place] = (low if step < 0 else high)[place]
        for beyond in (False, True):
            point[place] += step * beyond
            mean, weight_sum, variance, square_sum = point.tolist()
            found = theorem_domain(
                mean, variance, weight_sum=weight_sum, weight_square_sum=square_sum
            )
            inside = not beyond or (name, place, step) == ("theorem 3a", 2, 0.01)
            assert found == (name[8] if inside else None), point


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_grid_of_pre_activations_reaches_the_ends_of_the_domain(sign):
    """Their variance is largest of the largest variance and square sum, least of the least."""
    for theorem in _THEOREMS:
        points, domain = _grid(theorem.domain, sign), DOMAINS[theorem.name]
        for values, (low, high) in zip(points.T, domain, strict=True):
            assert low * (1 - 1e-12 * np.sign(low)) <= values.min()
            assert values.max() <= high * (1 + 1e-12)
        (*_, variances, squares), products = domain, points[:, 2] * points[:, 3]
        assert products.min() == pytest.approx(variances[0] * squares[0], rel=1e-12)
        assert products.max() == pytest.approx(variances[1] * squares[1], rel=1e-12)
