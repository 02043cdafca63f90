"""The call that makes the first value that is not finite, and not those that pass it on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

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
