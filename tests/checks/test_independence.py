"""Whether a rule is broken does not depend on which other rules are selected: all pairs are
tested."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from numba import config

from snstat import check, propagate
from snstat.checks.judge import SAID_BETTER
from snstat.checks.renewed import renewed
from snstat.checks.request import Request
from snstat.checks.rules import CODES, RULES
from snstat.files.saved import load_named, runs_to_json
from snstat.theory import known

pytestmark = pytest.mark.skipif(
    bool(config.DISABLE_JIT), reason="runs of compiled kernels are judged in the same way"
)

# Together these stacks break every rule, most of them several at once.
STACKS = {
    "wrong gain": {"activation": "selu", "depth": 20, "weight_gain": 0.75, "width": 64},
    "not there yet": {"activation": "selu", "depth": 3, "input_std": 8.0, "width": 256},
    "exploding": {"activation": "selu", "depth": 30, "init": "he_normal", "width": 32},
    "overflow": {"activation": "relu", "depth": 140, "weight_gain": 3.0, "width": 32},
    "gradients": {"activation": "relu", "depth": 25, "weight_gain": 2.2, "backward": True},
    "vanishing": {"activation": "gelu", "depth": 40, "width": 64},
    "chaos": {"activation": "tanh", "depth": 40, "weight_gain": 20.0, "width": 64},
    "collapse": {"activation": "relu", "depth": 50, "width": 256},
    "narrow": {"activation": "identity", "depth": 40, "width": 4},
    "dead": {"activation": "relu", "depth": 10, "width": 2},
    "target": {"activation": "erf", "depth": 8, "target_mean": 0.5, "target_variance": 0.5},
    "sound": {"activation": "selu", "depth": 8, "width": 256},
}
SAMPLING = {"width": 64, "batch": 8, "trials": 4}
# What these find, only networks have; see test_network_rules.py.
OF_NETWORKS = {"SN203", "SN303", "SN304", "SN402", "SN403"} | {"SN204"}  # for a bound alone
BOUNDS = ("target_mean", "target_variance")


@cache
def simulated(name):
    return propagate(**{k: v for k, v in (SAMPLING | STACKS[name]).items() if k not in BOUNDS})


read = cache(load_named)


@cache
def with_theory(name):
    return renewed(Request.build({}, saved=simulated(name)).case(simulated(name)))[0].run


predicted = cache(known.predict)
WIDTHS = known.finite_width


@cache
def corrected(stack, batch, inputs, **backward):
    return WIDTHS(stack, batch, inputs, predicted(stack, batch, inputs), **backward)


@pytest.fixture(autouse=True)
def only_rules(monkeypatch):
    """Skip what takes most of the time and does not affect which rules break: the search for
    remedies, and theory computed again for each selection."""
    monkeypatch.setattr("snstat.checks.stack_remedies.stack_remedy", lambda *_: "")
    monkeypatch.setattr("snstat.checks.request.renewed", lambda case: (case, []))
    monkeypatch.setattr(known, "predict", predicted)
    monkeypatch.setattr(
        known, "finite_width", lambda *args, **backward: corrected(*args[:3], **backward)
    )


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    """Return a file with a baseline that differs from every stack, so that SN701 is broken too."""
    path = tmp_path_factory.mktemp("baseline") / "other.json"
    run = propagate("selu", 2, width=16, batch=8, trials=4, weight_gain=4.0)
    path.write_text("".join(runs_to_json([run])), encoding="utf-8")
    return path


def judged(name, path, **chosen):
    """Return the check of a stack."""
    bounds = {key: value for key, value in STACKS[name].items() if key in BOUNDS}
    run = with_theory(name)
    options = {**bounds, **chosen, "baseline": path}
    return Request.build(options, saved=run, read=read).judge(run)


def broken(name, path, **chosen):
    """Return the codes that a check of a stack reports."""
    return {finding.code for finding in judged(name, path, **chosen).findings}


def better(name, path, code):
    """Return the rule that says better what `code` finds, if any."""
    found = judged(name, path, select=[code]).verdict
    dead = found == "collapsed" and RULES[code].verdict not in (None, "collapsed")
    return "SN401" if dead else SAID_BETTER.get(code)


@pytest.mark.parametrize("name", STACKS)
def test_no_rule_depends_on_the_selection_of_another(name, baseline):
    alone = {code for code in CODES if broken(name, baseline, select=[code])}
    told = {code: better(name, baseline, code) for code in alone}

    def shown(codes):
        return {code for code in codes if told[code] not in codes}

    for pair in itertools.combinations(CODES, 2):
        assert broken(name, baseline, select=pair) == shown(alone.intersection(pair)), pair
    for code in CODES:
        assert broken(name, baseline, ignore=[code]) == shown(alone - {code}), code


def test_together_the_stacks_break_every_rule(baseline):
    found = set().union(*(broken(name, baseline, select=[code]) for name in STACKS
                          for code in CODES))  # fmt: skip
    # SN501 needs an error of the theory, and none is known.
    assert found >= set(CODES) - {"SN501"} - OF_NETWORKS


@pytest.mark.parametrize("chosen", [{"select": ["SN103"]}, {"ignore": ["SN104", "SN601"]}])
def test_a_stack_off_its_target_fails_whatever_is_selected(chosen):
    found = check("selu", 20, weight_gain=0.75, **SAMPLING, **chosen)
    (finding,) = found.findings
    assert (finding.code, finding.layer) == ("SN103", 20)
    assert not found.passed
