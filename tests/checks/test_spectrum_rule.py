"""SN204: singular values of networks of which they are known."""

from __future__ import annotations

import numpy as np
import pytest

import snstat
from snstat.checks.applying import obstacle_of
from snstat.checks.request import Request
from snstat.checks.rules import RULES
from snstat.network.network import Network
from tests.checks.cases import case

LINEAR = {"depth": 4, "width": 8, "batch": 4, "trials": 2, "select": ["SN204"]}


def findings(*arguments, **options):
    return snstat.check(*arguments, **(LINEAR | options)).findings


def test_the_largest_is_the_product_of_orthogonal_matrices():
    """All singular values are the gain to the power of the depth, but for float32."""
    keys = {"init": "orthogonal", "weight_gain": 1.5}
    (finding,) = findings("identity", singular_max=5.0, **keys)
    assert finding.value == pytest.approx(1.5**4, rel=1e-5)
    assert (finding.code, finding.layer, finding.bound) == ("SN204", 4, 5.0)
    assert finding.message.startswith("the largest singular value of the Jacobian is 5.06")
    assert findings("identity", singular_max=5.1, **keys) == ()
    assert findings("identity", near_zero_max=0.0, **keys) == ()


def test_a_bottleneck_leaves_as_many_as_it_has_units():
    keys = {"widths": "8,2,8", "batch": 4, "trials": 2, "select": ["SN204"]}
    (finding,) = snstat.check("identity", near_zero_max=0.5, **keys).findings
    assert finding.value == 0.75
    assert snstat.check("identity", near_zero_max=0.8, **keys).passed


def test_the_networks_are_those_of_the_run():
    """The largest of each trial is that of numpy's decomposition of its matrices' product."""
    options = {"depth": 4, "width": 8, "trials": 2, "seed": 5}
    found = snstat.spectrum("tanh", layers=4, dtype="float32", **options).layers[0]
    (finding,) = findings("tanh", singular_max=1e-3, seed=5)
    assert finding.value == pytest.approx(found.singular_values[:, 0].mean(), rel=1e-6)


def test_why_it_is_not_judged():
    assert obstacle_of(case("relu", 4), "SN204").why.startswith("no bound is given")
    assert RULES["SN204"](case("relu", 4, bounds={"singular_max": 1.0})) is None  # only thought of
    found = snstat.check(Network.read(NORMED), batch=1, trials=2, singular_max=0.1)
    (note,) = [note for note in found.notes if "SN204" in note]
    assert "one sample alone has no variance over the batch" in note


NORMED = {
    "input": {"channels": 6},
    "layers": [{"kind": "dense", "width": 5}, {"kind": "batch_norm"}],
}


def test_samples_that_depend_on_each_other_are_those_of_the_run():
    """A batch as large as that of the run, and the same numbers."""
    network, options = Network.read(NORMED), {"batch": 4, "trials": 2, "seed": 3}
    found = snstat.spectrum(network, layers=2, dtype="float32", **options).layers[0]
    keys = options | {"select": ["SN204"]}
    (finding,) = snstat.check(network, singular_max=1e-3, **keys).findings
    assert finding.value == pytest.approx(found.singular_values[:, 0].mean(), rel=1e-6)
    other = snstat.spectrum(network, layers=2, dtype="float32", **options | {"batch": 5}).layers[0]
    assert other.singular_values[:, 0].mean() != pytest.approx(finding.value, rel=1e-3)
    # In eval mode the run's batch does not matter.
    (finding,) = snstat.check(network, singular_max=1e-3, train=False, **keys).findings
    alone = snstat.spectrum(network, layers=2, dtype="float32", train=False, trials=2, seed=3)
    expected = alone.layers[0].singular_values[:, 0].mean()
    assert finding.value == pytest.approx(expected, rel=1e-6)


def test_given_weights_are_those_of_the_jacobian(tmp_path):
    """Numpy decomposes their product."""
    random, path = np.random.default_rng(0), tmp_path / "weights.npz"
    matrices = [random.normal(size=shape) for shape in ((7, 6), (5, 7))]
    np.savez(path, first=matrices[0], second=matrices[1])
    run = snstat.propagate("identity", weights=str(path), trials=2, dtype="float64")
    request = Request.build({"singular_max": 1e-3, "select": ["SN204"]}, saved=run)
    (finding,) = request.judge(run, remedies=False).findings
    expected = np.linalg.svd(matrices[1] @ matrices[0], compute_uv=False)[0]
    assert finding.value == pytest.approx(expected, rel=1e-12)


def test_beyond_4096_units_a_share_is_judged_by_its_bounds(monkeypatch):
    """A bottleneck of ten units leaves ten values beside 0, which all steps find; of full
    matrices they find no small ones."""
    exact = snstat.spectrum("identity", 2, 400, trials=2, layers=2).layers[0]
    largest = exact.measures(0.1)["largest"].estimate
    monkeypatch.setattr("snstat.experiment.spectrum_plan.MOST_UNITS", 16)
    keys = {"widths": "400,10,400", "batch": 4, "trials": 2, "select": ["SN204"]}
    (finding,) = snstat.check("identity", near_zero_max=0.2, **keys).findings
    assert finding.message.startswith("the share of the Jacobian's singular values near 0 is at le")
    # The exact share is 0.975; sixteen random starts of 400 know it to a hundredth or two.
    assert finding.value == pytest.approx(0.975, abs=0.02)
    assert snstat.check("identity", near_zero_max=0.999, **keys).passed
    dense = {"depth": 2, "width": 400, "batch": 4, "trials": 2, "select": ["SN204"]}
    (finding,) = snstat.check("identity", singular_max=1.0, **dense).findings
    assert finding.value == pytest.approx(largest, rel=0.01)
    found = snstat.check("identity", near_zero_max=0.05, **dense)
    assert found.passed
    (note,) = [note for note in found.notes if "SN204" in note]
    assert "is only known to lie between 0 and" in note
