"""Gradients of a trace: a random read-out of all outputs, measured at every call."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import snstat
from snstat.sources.torch import beside
from tests.peers.trace.models import Gan, UNet, mlp
from tests.peers.trace.tracing import trace, untouched

pytestmark = pytest.mark.peers


class Root(nn.Module):
    """Has an infinite slope wherever a unit is off, which ReLU hides from what comes before."""

    def __init__(self, *, hidden):
        super().__init__()
        self.l, self.relu, self.hidden = nn.Linear(8, 8), nn.ReLU(), hidden

    def forward(self, x):
        y = self.relu(self.l(x))
        return (y if self.hidden else y * y).sqrt().sum(1)


@pytest.mark.parametrize("hidden", [True, False])
def test_gradients_that_are_not_finite_are_told(hidden):
    """They are NaN for √y² at y = 0, and infinite for √y, times 0 before."""
    rows = trace(Root, ["Bx8"], settings={"hidden": hidden})
    told = {name: rows.call(name).gradient_missing for name in ("l", "relu", "Root")}
    assert told == {"l": None, "relu": "not finite", "Root": None}
    assert np.isnan(rows["relu"]["gradient"]).all()
    check = snstat.check(Root, inputs="Bx8", set={"hidden": hidden})
    assert check.verdict == "non-finite"
    (finding,) = [found for found in check.findings if found.code == "SN001"]
    assert finding.path == "relu"
    assert finding.message == "gradients are not finite in float32 from layer 2 back (seen)"


def test_nothing_is_known_over_an_infinite_gradient_of_the_outputs():
    def loss(output):
        return (output - output.detach()).square().sum().sqrt()  # 0, of an infinite slope

    rows = trace(lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU()), ["Bx8"], loss=loss)
    assert np.isnan(rows["0"]["gradient"]).all()
    assert rows.call("1").gradient_missing == "not finite"


DEEP = {"depth": 16, "width": 64}


def squares_at_the_input(trials, **options):
    """Return log gradients at the input of SELU networks (trials,), without what takes longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "DRAWN", ())  # no theory
        rows = trace(mlp, ["Bx64"], settings=DEEP, trials=trials, batch=64, only=["0"], **options)
    return np.log(rows["input"]["gradient"])


@pytest.fixture
def _one_thread():
    """Thousands of small trials only wait for a second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def own_gradient():
    """Return the log gradient at the input by `propagate`, to 0.4 % of the gradient."""
    run = snstat.propagate("selu", **DEEP, backward=True, trials=2000, batch=64)
    found = run.gradient.at(0)
    assert found.stderr < 0.004
    return math.log(found.estimate)


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_the_read_out_is_independent_for_every_sample(own_gradient):
    """Within 2 %, of which the standard error of 4,000 trials is less than a fourth."""
    found = squares_at_the_input(4000)
    assert found.std(ddof=1) / math.sqrt(4000) < 0.005
    assert abs(found.mean() - own_gradient) < 0.02


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_one_read_out_for_all_samples_has_another_gradient(own_gradient):
    """Its logarithm scatters by 0.37, not by 0.17, and its mean is less by about the half of the
    difference of the squares, 0.055: the test above fails for it."""

    def shared(output):
        return (output * torch.randn(output.shape[1])).sum()

    found = squares_at_the_input(4000, loss=shared)
    error = found.std(ddof=1) / math.sqrt(4000)
    assert found.mean() + 2 * error < own_gradient - 0.02


@pytest.mark.parametrize("act", [nn.ReLU, nn.LeakyReLU])
def test_in_place_modules_have_the_gradients_of_others(act):
    """Bit for bit; torch itself rounds the gradient of an in-place SELU in another way."""

    def network(*, inplace):
        return nn.Sequential(
            nn.Linear(9, 8), act(inplace=inplace), nn.Linear(8, 7), act(inplace=inplace)
        )

    rows = trace(network, ["Bx9"], settings={"inplace": True}, trials=2)
    twin = trace(network, ["Bx9"], settings={"inplace": False}, trials=2)
    assert rows.names == twin.names
    np.testing.assert_array_equal(rows.traced.values, twin.traced.values)
    np.testing.assert_array_equal(rows.traced.log_gradient, twin.traced.log_gradient)


def test_gradients_are_those_of_plain_backward():
    model = mlp(width=8, depth=2).double()
    with untouched(model):
        rows = trace(model, ["Bx8"], trials=1, batch=5)
    kept = {}

    def keep(name):
        def hook(_module, _args, output):
            output.retain_grad()
            kept[name] = output

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in model.named_children()]
    from snstat.sources.calls.seeds import INPUTS, READ_OUT, seed_of

    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed_of(0, 0, INPUTS))).double()
    y = model(x)
    y.backward(
        torch.randn(y.shape, generator=torch.Generator().manual_seed(seed_of(0, 0, READ_OUT))).to(y)
    )
    last = kept["3"].grad.square().sum()
    for name, output in kept.items():
        expected = (output.grad.square().sum() / last).item()
        assert rows[name]["gradient"][0] == pytest.approx(expected, rel=1e-12)
    assert rows["3"]["gradient"][0] == 1
    for handle in handles:
        handle.remove()


def test_pooling_only_moves_the_gradient():
    """Its values are the same on both sides of max pooling, in other places."""
    rows = trace(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)), ["Bx3x10x10"])
    np.testing.assert_allclose(rows["0"]["gradient"], 1, rtol=1e-12)


def test_upsampling_keeps_the_size_of_the_gradient():
    """Each value before is the sum of four independent ones after: the squared norm is the same in
    expectation. Of n normal values it scatters by √(2/n) of itself, n of the sums being 8 · 4 · 16
    in each of 4 trials, and four times as many below them."""
    rows = trace(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Upsample(scale_factor=2)), ["Bx3x4x4"]
    )
    count = 4 * 8 * 4 * 16
    error = math.sqrt(2 / count + 2 / (4 * count))
    assert abs(rows["0"]["gradient"].mean() - 1) < 4 * error


def test_a_connection_across_adds_its_gradient():
    rows = trace(UNet, ["Bx3x8x8"], trials=4)
    assert (rows["inward"]["gradient"] > rows["pool"]["gradient"]).all()


def test_a_gan_has_gradients_in_both_parts():
    rows = trace(Gan, {"real": "Bx8", "noise": "Bx8"}, trials=2)
    assert {"D#1", "D#2", "D.0#1", "D.2#2", "G.0"} <= set(rows.names)
    for name in ("G", "G.0", "D.0#1", "D.0#2"):
        assert (rows[name]["gradient"] > 0).all()
    total = rows["D.2#1"]["gradient"] + rows["D.2#2"]["gradient"]
    np.testing.assert_allclose(total, 1, rtol=1e-12)


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.a, self.act, self.b, self.c = (
            nn.Linear(8, 8),
            nn.SELU(),
            nn.Linear(8, 8),
            nn.Linear(8, 8),
        )
        self.reentrant = reentrant

    def part(self, x):
        return self.act(self.b(self.act(self.a(x))))

    def forward(self, x):
        for _ in range(2):
            if self.reentrant is None:
                x = self.part(x)
            else:
                x = checkpoint(self.part, x, use_reentrant=self.reentrant)
        return self.c(x)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_have_one_row_for_each_call(reentrant):
    rows = trace(Checkpointed, ["Bx8"], settings={"reentrant": reentrant}, trials=2)
    plain = trace(Checkpointed, ["Bx8"], settings={"reentrant": None}, trials=2)
    assert rows.names == plain.names
    np.testing.assert_array_equal(rows.traced.values, plain.traced.values)
    np.testing.assert_array_equal(rows.traced.log_gradient, plain.traced.log_gradient)


class ViewChanged(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.view = nn.Flatten(1)

    def forward(self, x):
        view = self.view(self.a(x).unflatten(1, (2, 4)))
        view.add_(1)
        return self.b(view)


def test_a_view_that_is_changed_in_place_has_no_gradient():
    rows = trace(ViewChanged, ["Bx8"])
    assert rows.call("view").gradient_missing == "changed in place"
    assert np.isnan(rows["view"]["gradient"]).all()
    assert rows.call("b").gradient_missing is None


class Pooler(nn.Module):
    """What BERT's pooler is to a read-out of the other output."""

    def __init__(self):
        super().__init__()
        self.body, self.aside = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        x = self.body(x)
        self.aside(x)
        return x


def test_branches_without_a_path_say_so():
    rows = trace(Pooler, ["Bx8"])
    assert rows.call("aside").gradient_missing == "no path to the read-out"
    assert rows.call("body").gradient_missing is None


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_modules_and_integers(frozen):
    def network():
        model = nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 8))
        return model.requires_grad_(not frozen)

    rows = trace(network, ["tokens:11:Bx5"])
    assert np.isnan(rows["0"]["gradient"]).all() == frozen
    assert any("no gradients" in note for note in rows.summary.notes) == frozen
    assert not rows.traced.finite[0] or np.isnan(rows["input"]["mean"]).all()


def test_a_frozen_module_has_gradients_of_its_input():
    rows = trace(lambda: mlp(width=8, depth=2).requires_grad_(False), ["Bx8"])
    assert (rows["input"]["gradient"] > 0).all()


def test_the_outputs_that_enter_the_read_out():
    rows = trace(Gan, {"real": "Bx8", "noise": "Bx8"}, output="real")
    assert rows.call("G").gradient_missing == "no path to the read-out"
    with pytest.raises(snstat.errors.SnstatError, match="no output matches 'fake'"):
        trace(Gan, {"real": "Bx8", "noise": "Bx8"}, output="fake")


def test_a_loss_of_the_users():
    def loss(output):
        return (output["real"] - output["made"]).square().mean()

    rows = trace(Gan, {"real": "Bx8", "noise": "Bx8"}, loss=loss)
    total = rows["D.2#1"]["gradient"] + rows["D.2#2"]["gradient"]
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    np.testing.assert_allclose(rows["D.2#1"]["gradient"], 0.5, rtol=1e-6)


def test_gradients_of_parameters_and_hooks_of_optimisers_are_left_alone():
    model = mlp(width=8, depth=2)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    stepped = []
    handle = model[0].weight.register_post_accumulate_grad_hook(stepped.append)
    before = [copy.deepcopy(p.grad) for p in model.parameters()]
    with untouched(model):
        trace(model, ["Bx8"])
    assert not stepped
    assert all(torch.equal(a, p.grad) for a, p in zip(before, model.parameters(), strict=True))
    model(torch.randn(3, 8)).sum().backward()
    assert len(stepped) == 1
    handle.remove()
