"""Saturated units of SN401: those driven to an end, not those that are off."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from snstat import check
from snstat.activation import ACTIVATIONS
from snstat.activation.saturated import saturates
from snstat.checks.look import look
from snstat.checks.rules import RULES
from snstat.checks.units import off
from snstat.theory.saturation import resting_fraction, saturated_fraction
from tests.checks.cases import case

SMALL = {"width": 8, "batch": 2, "trials": 2}


def clipped(x):
    return np.clip(x, 0.0, 1.0)


def clipped_slope(x):
    return np.where((x > 0.0) & (x < 1.0), 1.0, 0.0)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("depth", [1, 4])
def test_no_default_network_is_saturated(name, depth):
    assert "SN401" not in look(case(name, depth=depth, width=256))


def test_units_that_are_off_are_not_saturated(monkeypatch):
    # A search for remedies integrates this pair numerically, again and again.
    monkeypatch.setattr("snstat.checks.stack_remedies.stack_remedy", lambda *_: "")
    assert check("relu6", 4, width=64, batch=8, trials=4).passed
    # Half of its units are off, and about a third are at 1: erfc(1/√2) = 0.317 of the rest.
    found = check((clipped, clipped_slope), 1, **SMALL, select=["SN401"], saturated_max=0.3)
    assert found.findings[0].value == pytest.approx(math.erfc(math.sqrt(0.5)), rel=1e-6)
    assert "of layer 1 that are not off are saturated" in found.findings[0].message


def test_all_units_of_dead_networks_are_off():
    """One network of four is dead, and half of the units of the others are off."""
    quarter = np.array([0.25])
    statistics = {"dead_fraction": quarter, "zero_samples": quarter}
    made = SimpleNamespace(
        batch=8,
        resting=np.array([0.5]),
        silent=np.zeros(1),
        predicted=lambda _: np.zeros(1),
        seen=statistics.__getitem__,
        judges_seen=lambda _: np.ones(1, np.bool_),
    )
    assert off(made) == 0.25 + 0.75 * 0.5


@pytest.mark.parametrize("gain", [4.0, 8.0, 20.0])
def test_units_of_relu6_at_its_upper_end_are_saturated(gain):
    """Of normal pre-activations of standard deviation G that are positive, erfc(6/(G√2)) are above
    6."""
    share = math.erfc(6.0 / gain / math.sqrt(2.0))
    found = look(case("relu6", depth=1, weight_gain=gain, bounds={"saturated_max": 0.99 * share}))
    assert found["SN401"].value == pytest.approx(share, rel=1e-9)
    assert f"{0.5 + 0.5 * share:.1%} of all" in found["SN401"].text
    held = look(case("relu6", depth=1, weight_gain=gain, bounds={"saturated_max": 1.01 * share}))
    assert "SN401" not in held


def test_dead_networks_of_relu6_are_not_called_saturated():
    """With two units most networks die within 20 layers; the units of the others are as before."""
    [finding] = check("relu6", 20, width=2, select=["SN401"]).findings
    assert "dead" in finding.message
    assert "saturated" not in finding.message


def test_dead_networks_are_told_once_whatever_else_is_told_first():
    """Of two units both are 0 for a sample in a quarter of the layers."""
    alone = RULES["SN401"](case("relu", 20, width=2, batch=1))
    share = 1.0 - 0.75**3
    assert (alone.layer, alone.verdict) == (3, "collapsed")
    assert alone.value == pytest.approx(share, rel=1e-12)
    networks = "of the networks give one output for every input from layer"
    assert alone.text == f"{share:.1%} {networks} 3 on (theory), more than 0.5"
    for batch, other in ((1, "dead"), (8, "saturated")):
        both = RULES["SN401"](case("relu6", 20, width=2, batch=batch, weight_gain=20.0))
        assert (both.layer, both.verdict) == (1, "collapsed")
        first, last = both.text.split("5; ")
        assert other in first
        assert networks in last


@pytest.mark.parametrize("name", [name for name, own in ACTIVATIONS.items() if saturates(own)])
def test_units_at_0_are_off_where_the_slope_there_is_level(name):
    """Without a signal all are where they are at 0, and with one a share of a normal law is."""
    own, x = ACTIVATIONS[name], np.linspace(-12.0, 12.0, 240_001)
    slopes = np.abs(own.derivative(x))
    level = slopes < 0.01 * slopes.max()
    still = float(level[x.size // 2])
    # The level part around 0, from where slopes are steep below it to where they are above.
    steep = np.flatnonzero(~level)
    below, above = steep[steep <= x.size // 2], steep[steep >= x.size // 2]
    first, last = below[-1] if below.size else -1, above[0] if above.size else x.size
    density = np.exp(-0.5 * x * x) / np.exp(-0.5 * x * x).sum()
    off = float(density[first + 1 : last].sum()) if still else 0.0
    at = np.array([0.0, 1.0])
    # A node of a grid of 1e-4 more or less at either end has at most 8e-5.
    np.testing.assert_allclose(resting_fraction(own, at), [still, off], atol=1e-4)
    of_all = float(density[level].sum())
    np.testing.assert_allclose(saturated_fraction(own, at), [still, of_all], atol=2e-4)
