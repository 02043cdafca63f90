"""`snstat.tracing` around what is no plain step of training: validation, parts, other batches."""

from __future__ import annotations

import copy
import io
import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

import snstat
from snstat.errors import SnstatError
from tests.peers.trace.tracing import expected, untouched

pytestmark = pytest.mark.peers

# Sums of float64 in another order.
EXACT = 1e-11


def assert_row(run, name, tensor, roles):
    """Assert that a row has the statistics of a tensor, by plain loops; none if it has no axes."""
    row = run[name]
    if roles is None:
        assert row.call.axes is None
        square = float(tensor.detach().double().square().mean())
        assert row.second_moment.estimate == pytest.approx(square, rel=EXACT)
        return
    for statistic, value in expected(tensor, roles).items():
        if statistic not in ("dead_fraction", "saturated_fraction", "largest"):
            estimate = getattr(row, statistic).estimate if statistic in run.statistics else None
            known = not math.isnan(value)
            assert (estimate is not None) == known, (name, statistic)
            assert not known or estimate == pytest.approx(value, rel=EXACT, abs=1e-12)


class Residual(nn.Module):
    """Adds in place to what its last module returned, and returns the same tensor."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.conv(x))
        y += x
        return y


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_validation_is_measured(mode):
    """Inference mode counts no changes of tensors: a sum in place is seen by its values."""
    torch.manual_seed(0)
    model, x = (
        nn.Sequential(Residual(), nn.Flatten(), nn.Linear(64, 3)).eval(),
        torch.randn(5, 4, 4, 4),
    )
    with torch.no_grad():
        conv = model[0].conv(x)
        after = model[0](x)
        out = model(x)
    with untouched(model), snstat.tracing(model) as t, mode():
        model(x)
    assert_row(t.run, "0.conv", conv, "SUPP")
    assert_row(t.run, "0.relu", conv.relu(), "SUPP")
    assert_row(t.run, "0", after, "SUPP")
    assert_row(t.run, "2", out, "SU")
    same = [t.run[name].call.same_as for name in ("0", "2", "Sequential")]
    assert same == [None, None, 5]
    assert "gradient" not in t.run.statistics


def test_what_torch_func_transforms_is_left_out():
    model, x = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)), torch.randn(5, 6)
    weights = {name: value.detach() for name, value in model.named_parameters()}

    def loss(own, sample):
        return torch.func.functional_call(model, own, (sample[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))
    plain = each(weights, x)
    with untouched(model), snstat.tracing(model) as t:
        traced = each(weights, x)
    assert all(torch.equal(value, plain[name]) for name, value in traced.items())
    with pytest.raises(SnstatError, match=r"what 0 returned is left out \(transformed by torch"):
        _ = t.run
    with snstat.tracing(model) as t:
        torch.func.jacrev(model)(x[0])
        model(x)
    assert_row(t.run, "0#2", model[0](x), "SU")
    assert {left.reason for left in t.run.module.skipped} == {"transformed by torch.func"}


def test_no_samples_are_told():
    model = nn.Linear(6, 8)
    with snstat.tracing(model) as t:
        model(torch.randn(0, 6))
    with pytest.raises(SnstatError, match=r"what Linear returned is left out \(no elements\)"):
        _ = t.run


class Step(nn.Module):
    """Is never called itself, as the modules of Lightning are not."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

    def training_step(self, x, y):
        return functional.cross_entropy(self.net(x), y)


@pytest.mark.parametrize("batch", [None, 5])
def test_parts_that_are_called_instead_have_axes(batch):
    torch.manual_seed(0)
    model, x = Step(), torch.randn(5, 6)
    twin = copy.deepcopy(model)
    y = torch.tensor([0, 1, 2, 0, 1])
    with snstat.tracing(model, batch=batch) as t:
        model.training_step(x, y).backward()
    assert t.run.simulation.batch == 5
    assert_row(t.run, "net.0", twin.net[0](x), "SU")
    hidden = twin.net[:2](x)
    dead = float((hidden == 0).all(0).double().mean())
    assert t.run["net.1"].dead_fraction.estimate == pytest.approx(dead, rel=EXACT)
    first = t.run["input"].second_moment.estimate
    assert first == pytest.approx(float(x.double().square().mean()), rel=EXACT)
    with untouched(model), snstat.tracing(model, batch=batch) as t:
        model.net.forward(x)
    assert t.run["net.0"].call.shape == ("S", 8)


def test_each_call_has_its_own_samples():
    """The last batch of an epoch is smaller, here as many as no layer has units, the others not."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    batches = [torch.randn(n, 6) for n in (8, 8, 5)]
    with snstat.tracing(model) as t:
        for x in batches:
            model(x)
    for number, x in enumerate(batches, 1):
        assert_row(t.run, f"0#{number}", model[0](x), "SU")
        assert_row(t.run, f"1#{number}", model[:2](x), "SU")
        assert t.run[f"0#{number}"].call.shape == ("S", 8)


def test_units_are_no_samples_where_there_are_more_of_these():
    """A discriminator sees real and generated samples together, and has as many units as there are
    real ones: no axis has as many entries as the batch, but that of its units."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 8))
    told = nn.Sequential(nn.Linear(8, 8), nn.LeakyReLU(), nn.Linear(8, 1))
    model, x = nn.ModuleDict({"made": made, "told": told}), torch.randn(8, 8, 2, 2)
    both = torch.randn(16, 8)
    with snstat.tracing(model) as t:
        made(x)
        told(both)
        told(both[:8])
        made(torch.cat([x, x]))
    assert_row(t.run, "made.0#1", made[0](x), "SUPP")
    assert_row(t.run, "told.0#1", told[0](both), None)
    assert_row(t.run, "told.1#1", told[:2](both), None)
    assert_row(t.run, "told.1#2", told[:2](both[:8]), "SU")
    assert_row(t.run, "made.0#2", made[0](torch.cat([x, x])), None)
    assert_row(t.run, "made.1#2", made[:2](torch.cat([x, x])), None)


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        saved,
        lambda model: copy.deepcopy(saved(copy.deepcopy(model))),
        lambda model: torch.optim.swa_utils.AveragedModel(model).module,
    ],
    ids=["deepcopy", "saved", "both", "averaged"],
)
def test_copies_that_are_made_meanwhile_are_not_traced(copied):
    model, x = small(), torch.randn(5, 8)
    with snstat.tracing(model) as t:
        y = model(x)
        other = copied(model)
        assert torch.equal(other(x), y)
    assert [row.path for row in t.run.module.rows] == ["0", "1", "2", "Sequential"]
    assert torch.equal(other(x), y)


def test_a_file_that_is_saved_meanwhile_needs_no_snstat():
    with snstat.tracing(small()) as t:
        assert b"snstat" not in pickle.dumps(t._watched._model)


def test_gradients_are_over_those_of_the_last_call():
    """Of two passes to one loss, the first one's output got twice the gradient."""
    model, x = small(), torch.randn(2, 5, 8)
    with snstat.tracing(model) as t:
        (model(x[0]).sum() * 2.0 + model(x[1]).sum()).backward()
    found = [t.run["2#1"].gradient.estimate, t.run["2#2"].gradient.estimate]
    assert found == pytest.approx([4.0, 1.0], rel=1e-6)


def test_gradients_of_a_pass_before_one_that_is_only_looked_at():
    model, x = small(), torch.randn(2, 5, 8)
    with snstat.tracing(model) as t:
        model(x[0]).sum().backward()
        model(x[1])
    assert t.run["2#1"].gradient.estimate == pytest.approx(1.0, rel=1e-6)
    assert t.run["2#2"].gradient.estimate is None


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("made", [torch.jit.script, lambda m: torch.jit.trace(m, torch.ones(2, 8))])
def test_scripted_modules(made):
    """Its calls are not seen by hooks; `snstat.trace` calls it, and a part of a module, itself."""
    with pytest.raises(SnstatError, match="Sequential is scripted"):
        snstat.tracing(made(small()))
    run = snstat.trace(made(small()), "Bx8", trials=2)
    assert [row.path for row in run.module.rows] == ["Sequential"]
    assert "Sequential is scripted, and its modules have no rows" in run.module.notes
    assert "no theory: it is scripted (torch.jit), or a part of it is" in run.module.notes
    part = nn.Sequential(made(small()), nn.Linear(4, 3))
    assert [row.path for row in snstat.trace(part, "Bx8", trials=2).module.rows] == [
        "1", "Sequential"
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_buffers_of_scripted_modules_are_put_back():
    model = torch.jit.script(nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    snstat.trace(model, "Bx8", trials=2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
