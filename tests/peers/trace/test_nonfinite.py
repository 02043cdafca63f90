"""The call that makes the first value that is not finite, and not those that pass it on."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import snstat
from snstat.report.module_words import producer_words
from snstat.results.module import NonFinite
from tests.peers.trace.models import Log, LogBetween, Stages
from tests.peers.trace.tracing import trace, untouched

pytestmark = pytest.mark.peers


def test_the_module_that_makes_it():
    rows = trace(lambda: Stages(Log()), ["Bx8"])
    assert rows.summary.nonfinite == NonFinite(0, "between", 1, "Log", inputs_finite=True)
    finite = dict(zip(rows.names, rows.traced.finite, strict=True))
    assert finite == {"input": True, "a": True, "between": False, "b": False, "Stages": False}


def test_the_code_between_modules_that_makes_it():
    rows = trace(LogBetween, ["Bx8"])
    expected = NonFinite(0, "LogBetween", 1, "LogBetween", inputs_finite=True, before="b")
    assert rows.summary.nonfinite == expected


class Infinity(nn.Module):
    """+∞ first, NaN from that next."""

    def forward(self, x):
        return x + torch.inf


class Difference(nn.Module):
    def forward(self, x):
        return x - x


def test_infinity_comes_before_what_is_made_of_it():
    rows = trace(lambda: nn.Sequential(nn.Linear(8, 8), Infinity(), Difference()), ["Bx8"])
    assert rows.summary.nonfinite == NonFinite(0, "1", 1, "Infinity", inputs_finite=True)


def overflowing():
    model = nn.Sequential(*(nn.Linear(64, 64) for _ in range(4)))
    for layer in model:
        nn.init.normal_(layer.weight, std=40 / 8)
    return model


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_overflows_in_the_third_layer(dtype):
    """Each layer multiplies by 40: the third gives values of 64,000 standard deviations 1, where
    float16 ends at 65,504."""
    rows = trace(overflowing, ["Bx64"], dtype=dtype, backward=False)
    found = rows.summary.nonfinite
    assert rows.call("0").dtype == dtype
    assert (found is None) if dtype == "bfloat16" else (found.path == "2" and found.inputs_finite)


class Masked(nn.Module):
    """Attention whose mask holds −∞, which is no failure."""

    def __init__(self):
        super().__init__()
        self.attention, self.log = nn.MultiheadAttention(8, 2, batch_first=True), Log()

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.log(self.attention(x, x, x, attn_mask=mask, need_weights=False)[0])


def test_masks_are_no_failure():
    assert trace(Masked, ["Bx3x8"]).summary.nonfinite.path == "log"


def test_an_instance_is_untouched_by_the_replay():
    model = Stages(Log())
    with untouched(model):
        assert trace(model, ["Bx8"]).summary.nonfinite.path == "between"


def test_a_later_trial_is_named():
    def sometimes():
        model = Stages(nn.Identity())
        if torch.rand(()) < 0.3:
            nn.init.constant_(model.b.weight, torch.nan)
        return model

    rows = trace(sometimes, ["Bx8"], trials=12)
    found = rows.summary.nonfinite
    assert found.path == "b"
    assert found.trial > 0
    assert np.isfinite(rows["b"]["mean"][: found.trial]).all()


def within_a_loop(model, *given):
    with snstat.tracing(model) as t:
        model(*given)
    return t.run.module


def in_the_tracer(model, given):
    return trace(model, [given.numpy()]).summary


BOTH = pytest.mark.parametrize("summary_of", [within_a_loop, in_the_tracer])


@BOTH
def test_code_between_modules_is_told_where_the_next_one_passes_it_on(summary_of):
    found = summary_of(LogBetween(), torch.linspace(-1, 1, 32).reshape(4, 8)).nonfinite
    assert found == NonFinite(0, "LogBetween", 1, "LogBetween", inputs_finite=True, before="b")


class Nested(nn.Module):
    """Logarithms in the code before modules within modules, which work in place."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.rest = nn.Sequential(nn.Sequential(nn.ReLU(inplace=True)), nn.Linear(8, 8))

    def forward(self, x):
        return self.rest(torch.log(self.first(x)))


@BOTH
def test_the_outermost_module_that_receives_it_is_told(summary_of):
    """Also where the innermost changes it in place before it returns."""
    found = summary_of(Nested(), torch.linspace(-1, 1, 32).reshape(4, 8)).nonfinite
    assert found == NonFinite(0, "Nested", 1, "Nested", inputs_finite=True, before="rest")


class Raises(nn.Module):
    def forward(self, _x):
        raise ValueError


class Catches(nn.Module):
    """Goes on where its part fails."""

    def __init__(self):
        super().__init__()
        self.a, self.f, self.b = nn.Linear(8, 8), Raises(), nn.Linear(8, 8)

    def forward(self, x):
        x = self.a(x)
        try:
            x = self.f(x)
        except ValueError:
            x = torch.log(x)
        return self.b(x)


@BOTH
def test_a_call_that_raised_is_over(summary_of):
    summary = summary_of(Catches(), torch.linspace(-1, 1, 32).reshape(4, 8))
    expected = NonFinite(0, "Catches", 1, "Catches", inputs_finite=True, before="b")
    assert summary.nonfinite == expected
    assert summary.not_called == ()
    assert [row.path for row in summary.rows] == ["a", "b", "Catches"]


class Interrupted(nn.Module):
    def forward(self, _x):
        raise KeyboardInterrupt


@BOTH
@pytest.mark.parametrize("logs", [False, True])
def test_an_interrupt_that_is_caught_leaves_no_call_behind(summary_of, logs):
    """Of which torch tells no hook: the call is over when what is around it is."""

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.logs = Interrupted(), logs

        def forward(self, x):
            try:
                return self.f(x)
            except KeyboardInterrupt:
                return torch.log(x) if self.logs else x

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.b = Part(), nn.Linear(8, 8)

        def forward(self, x):
            return self.b(torch.log(self.part(x)))

    found = summary_of(Whole(), torch.linspace(-1, 1, 32).reshape(4, 8)).nonfinite
    assert (found.path, found.before) == (("part", None) if logs else ("Whole", "b"))


@BOTH
def test_an_input_that_is_not_finite_is_told_itself(summary_of):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    given = torch.ones(4, 8)
    given[1, 2] = torch.nan
    summary = summary_of(model, given)
    assert summary.nonfinite == NonFinite(0, "Sequential", 1, "Sequential", inputs_finite=False)
    words = "The input of Sequential (Sequential) is itself not finite, in trial 0."
    assert producer_words(summary) == words


def test_an_input_that_the_code_changes_in_place_is_told_itself():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(8, 8)

        def forward(self, x):
            return self.a(x.mul_(2))

    found = within_a_loop(InPlace(), torch.full((4, 8), torch.nan)).nonfinite
    assert (found.path, found.inputs_finite) == ("InPlace", False)


def test_an_input_that_the_module_repairs_is_no_failure():
    class Repairs(nn.Module):
        def forward(self, x):
            return torch.nan_to_num(x)

    assert within_a_loop(Repairs(), torch.full((4, 8), torch.nan)).nonfinite is None


def test_calls_are_numbered_as_their_rows_are():
    """The first call raised, and has no row."""

    class Sometimes(nn.Module):
        def forward(self, x, fails):
            if fails:
                raise ValueError
            return torch.log(x)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = Sometimes()

        def forward(self, x):
            with contextlib.suppress(ValueError):
                self.f(x, True)
            return self.f(-x, False)

    summary = within_a_loop(Twice(), torch.ones(4, 8))
    assert (summary.nonfinite.path, summary.nonfinite.call) == ("f", 1)
    assert [row.name for row in summary.rows] == ["f", "Twice"]


def test_a_checkpoint_that_runs_again_tells_nothing():
    """On the way back, with weights that are not finite by then."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
    with snstat.tracing(model) as t:
        out = checkpoint(model, torch.ones(4, 8, requires_grad=True), use_reentrant=True)
        with torch.no_grad():
            model[0].weight.fill_(torch.nan)
        out.sum().backward()
    assert t.run.module.nonfinite is None


def test_what_was_measured_is_not_looked_at_again(monkeypatch):
    looked, isfinite = [], torch.isfinite
    monkeypatch.setattr(torch, "isfinite", lambda value: looked.append(value) or isfinite(value))
    model, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(2, 4)
    with snstat.tracing(model) as trace:
        model(x)
    assert len(trace.run.module.rows) == 4
    assert [value is x for value in looked] == [True]  # the input, which has no call before it


class Causal(nn.Module):
    """Masks scores: −∞ beside finite values, of which a softmax makes zeros."""

    def forward(self, x):
        return x.masked_fill(torch.ones_like(x, dtype=torch.bool).triu(1), -torch.inf)


class Attends(nn.Module):
    def __init__(self, *, scaled=False, softmax=True):
        super().__init__()
        self.q, self.mask, self.v = nn.Linear(8, 8), Causal(), nn.Linear(8, 8)
        self.softmax, self.scaled = nn.Softmax(-1) if softmax else nn.Identity(), scaled

    def forward(self, x):
        scores = self.softmax(self.mask(self.q(x) @ x.mT))
        return scores @ self.v(x) if not self.scaled else scores


def test_a_module_that_masks_is_no_fault():
    rows = trace(Attends, ["Bx6x8"])
    assert rows.summary.nonfinite is None
    assert rows.traced.finite.all()
    (left,) = rows.summary.skipped
    assert (left.path, left.call, left.reason) == ("mask", 1, "holds −∞, as masks do")
    assert np.isnan(rows["mask"]["second_moment"]).all()
    assert snstat.trace(Attends, "Bx6x8")["mask"].gradient.estimate > 0
    assert snstat.check(Attends, inputs="Bx6x8").verdict == "stable"
    with snstat.tracing(Attends()) as t:
        t._watched._model(torch.randn(4, 6, 8))
    assert t.run.module.nonfinite is None
    assert t.run.finite.all()


@pytest.mark.parametrize(
    "options",
    [{"softmax": False}, {"softmax": False, "scaled": True}],
    ids=["passed on to a product", "the last row"],
)
def test_infinities_that_come_through_are_a_fault(options):
    rows = trace(Attends, ["Bx6x8"], settings=options)
    found = rows.summary.nonfinite
    assert (found.path, found.inputs_finite) == ("mask", True)
    assert not rows.traced.finite.all()
    assert snstat.check(Attends, inputs="Bx6x8", set=options).verdict == "non-finite"
