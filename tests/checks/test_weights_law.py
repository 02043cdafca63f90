"""Weights of another distribution but equal variance, told by the kurtosis of all layers."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from numba import config
from scipy.stats import ttest_ind

import snstat
from snstat.checks.baseline import FALSE_ALARM, compare
from snstat.checks.weights_law import SHARE, parted_in_law
from snstat.errors import InputFileError
from snstat.files.saved import runs_to_json
from snstat.files.schema import schema
from snstat.results import LayerMean

SMALL = {"depth": 3, "width": 8, "batch": 4}


def run(trials=6, **options):
    return snstat.propagate("selu", **SMALL, trials=trials, **options)


@pytest.mark.parametrize("trials", [2, 6])
def test_each_trial_counts_as_the_mean_of_its_layers(trials):
    found = run(trials, keep_trials=True)
    own = np.log(found.kurtosis.trials[:, 1:]).mean(axis=1)
    assert found.log_kurtosis.estimate == pytest.approx(own.mean(), rel=1e-12)
    error = own.std(ddof=1) / math.sqrt(trials)
    assert found.log_kurtosis.stderr == pytest.approx(error, rel=1e-9)


def test_one_trial_and_what_is_not_finite_have_no_mean_over_layers():
    assert run(1).log_kurtosis is None
    assert snstat.propagate("relu", 200, width=8, batch=4, weight_gain=30.0).log_kurtosis is None


def test_it_is_saved_and_read_back(tmp_path):
    found = run()
    document = json.loads("".join(runs_to_json([found])))
    Draft202012Validator(schema("propagation")).validate(document)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert snstat.load(path).log_kurtosis == found.log_kurtosis
    for part, value in (("stderr", -1.0), ("estimate", "much"), ("estimate", None)):
        broken = json.loads(json.dumps(document))
        broken["runs"][0]["log_kurtosis"][part] = value
        path.write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(InputFileError, match="log_kurtosis"):
            snstat.load(path)
    del document["runs"][0]["log_kurtosis"]  # as older versions wrote
    path.write_text(json.dumps(document), encoding="utf-8")
    assert snstat.load(path).log_kurtosis is None
    assert compare(snstat.load(path), run(seed=1), 0.01) is None


def test_the_probability_is_that_of_welchs_test():
    random = np.random.default_rng(3)
    first, second = random.standard_normal(6), random.standard_normal(6) + 2.0
    runs = [
        replace(run(), log_kurtosis=LayerMean(x.mean(), x.std(ddof=1) / math.sqrt(6)))
        for x in (first, second)
    ]
    p = ttest_ind(first, second, equal_var=False).pvalue
    assert parted_in_law(*runs, 0.01, 1.01 * p) is not None
    assert parted_in_law(*runs, 0.01, 0.99 * p) is None


def test_a_difference_below_a_tenth_of_the_least_effect_is_none():
    one = replace(run(), log_kurtosis=LayerMean(1.0, 1e-9))
    for difference, told in ((0.0009, False), (0.0011, True)):
        other = replace(one, log_kurtosis=LayerMean(1.0 + difference, 1e-9))
        assert (parted_in_law(other, one, 0.01, SHARE * FALSE_ALARM) is not None) == told
    # Other layers have other weights: that is told by their number.
    deeper = replace(run(), subject=replace(one.stack, depth=4), log_kurtosis=LayerMean(2.0, 1e-9))
    assert parted_in_law(deeper, one, 0.01, 1.0) is None


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="slow without compiled kernels")
def test_uniform_weights_of_equal_variance_are_found():
    # 220 trials find them nine times in ten; 400 leave a miss to 0.1 %, at 6.6 standard errors.
    sizes = {"depth": 16, "width": 128, "batch": 16, "trials": 400}
    normal = snstat.propagate("selu", **sizes, seed=1)
    uniform = snstat.propagate("selu", **sizes, seed=2, init="lecun_uniform")
    how = compare(uniform, normal, 0.01)
    assert how.text.startswith("differs from the baseline: kurtosis, averaged over all layers, 2.5")
    assert how.text.endswith("the weights may have another distribution")
    assert compare(snstat.propagate("selu", **sizes, seed=3), normal, 0.01) is None
