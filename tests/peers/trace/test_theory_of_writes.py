"""Theory beside traces of code that writes in place, to masks, buffers, copies and scores."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import snstat
from snstat import layers as L  # noqa: N812  # as its page writes it
from snstat.experiment.trace import TracePlan, TraceSettings
from tests.peers.trace.attention_models import heads_of, tokens_of
from tests.peers.trace.own_modules import Own, own, theory_of
from tests.peers.trace.test_theory import ends

pytestmark = pytest.mark.peers

INPUT, WIDTH = "Bx6x64", 64
LAYERS = {name: lambda: nn.Linear(WIDTH, WIDTH) for name in "abc"}


def after(q):
    """Return E[y²] behind PyTorch's own linear layer: its weights and biases have variance 1/3n."""
    return q / 3.0 + 1.0 / (3.0 * WIDTH)


def second_moment(run, name):
    found = run[name].statistics["second_moment"]
    return found.theory, found.estimate


def layers_of(target):
    """Return the run of a module, and its layers."""
    settings = TraceSettings(inputs=INPUT, trials=2, batch=4, backward=False)
    run, mapped = TracePlan(target, settings).traced()
    return run, [entry.layer for entry in mapped.entries]


def attention(m, x, mask):
    q, k, v = (heads_of(layer(x)) for layer in (m.a, m.b, m.c))
    return tokens_of(functional.scaled_dot_product_attention(q, k, v, attn_mask=mask))


def contiguous(m, x):
    y = m.a(x).transpose(1, 2)
    functional.relu_(y.contiguous())
    return m.b(y.transpose(1, 2))


def reshaped(m, x):
    y = m.a(x).transpose(1, 2)
    functional.relu_(y.reshape(len(x), -1))
    return m.b(y.transpose(1, 2))


def summed(m, x):
    y = m.a(x)
    functional.relu_(y + 0)
    return m.b(y)


@pytest.mark.parametrize("forward", [contiguous, reshaped, summed])
def test_what_is_written_to_a_copy_is_not_in_its_source(forward):
    """Theory of the layer behind it is exact at any width: 3 % of it are 5 errors of 512 biases."""
    run = theory_of(own(forward, **LAYERS), INPUT, trials=16)
    assert ends(run) == []
    theory, estimate = second_moment(run, "b")
    assert theory == pytest.approx(after(after(1.0)), rel=1e-12)
    assert estimate == pytest.approx(theory, rel=0.05)


def test_what_is_written_to_all_of_the_memory_is_in_its_source():
    """There is no copy of what is contiguous."""

    def forward(m, x):
        y = m.a(x)
        y.contiguous().relu_()
        return m.b(y)

    run = theory_of(own(forward, **LAYERS), INPUT)
    assert second_moment(run, "b")[0] == pytest.approx(after(after(1.0) / 2.0), rel=1e-12)


@pytest.mark.parametrize(
    "change",
    [lambda y: y[..., :32], lambda y: y.transpose(1, 2)],
    ids=["part", "view"],
)  # fmt: skip
def test_a_module_that_writes_to_what_it_returns(change):
    """The row is measured when the module returns, the value was made before that. PyTorch crashes
    on a hook of such a view."""

    def forward(m, x):
        y = m.a(x)
        found = change(y)
        y.relu_()
        return found

    run = theory_of(own(lambda m, x: m.inner(x), inner=own(forward, **LAYERS)), INPUT, trials=16)
    theory, estimate = second_moment(run, "inner")
    assert theory is None
    assert estimate == pytest.approx(after(1.0) / 2.0, rel=0.05)
    assert second_moment(run, "inner.a")[0] == pytest.approx(after(1.0))


@pytest.mark.parametrize(
    "mask",
    [
        lambda: torch.zeros(6, 6).masked_fill_(torch.ones(6, 6).tril().logical_not(), -math.inf),
        lambda: torch.full((6, 6), -math.inf).triu_(1),
        lambda: torch.tensor([[0.0] * (n + 1) + [-math.inf] * (5 - n) for n in range(6)]),
    ],
    ids=["filled", "written", "tensor"],
)  # fmt: skip
def test_a_mask_has_what_was_written_to_it(mask):
    run, found = layers_of(own(lambda m, x: attention(m, x, mask()), **LAYERS))
    assert ends(run) == []
    assert [one.causal for one in found if isinstance(one, L.DotProductAttention)] == [True]


def test_a_mask_that_is_changed_later_is_not_known():
    def forward(m, x):
        mask = torch.zeros(6, 6)
        first = attention(m, x, mask)
        mask[:, 3:] = -math.inf
        return first

    run = theory_of(own(forward, **LAYERS), INPUT, backward=False)
    assert ends(run) == [("Own", 1, "what it hides, or adds to scores, is not known")]


def test_code_without_gradients_may_write_to_values():
    def forward(m, x):
        y = m.a(x)
        with torch.no_grad():
            y.view(-1).mul_(2.0)
        return m.b(y)

    run = theory_of(own(forward, **LAYERS), INPUT)
    assert second_moment(run, "a")[0] is not None
    assert second_moment(run, "b")[0] is None
    assert ends(run) == [("b", 1, "it takes values of which a part was changed")]


def test_a_mask_of_one_axis_hides_tokens_of_all():
    def forward(m, x):
        scores = heads_of(m.a(x)) @ heads_of(m.b(x)).mT
        scores = scores.masked_fill(torch.tensor([False] * 5 + [True]), -math.inf)
        return tokens_of(scores.softmax(-1) @ heads_of(m.c(x)))

    run = theory_of(own(forward, **LAYERS), INPUT)
    assert ends(run) == [("Own", 1, "it reads some of the tokens, and not those before it")]


class Counting(Own):
    """A module that writes to a buffer of ones, or zeros, and then calls a function."""

    def __init__(self, write, forward):
        super().__init__(forward, **{name: make() for name, make in LAYERS.items()})
        self.register_buffer("buffer", torch.ones(()))
        self.register_buffer("mask", torch.zeros(6, 6))
        self.write = write

    def forward(self, x):
        with torch.no_grad():
            self.write(self)
        return super().forward(x)


@pytest.mark.parametrize(
    "write",
    [
        lambda m: m.buffer.mul_(2.0),
        lambda m: m.buffer.detach().mul_(2.0),
        lambda m: m.buffer.view(1).mul_(2.0),
        lambda m: m.buffer.copy_(torch.tensor(2.0)),
    ],
    ids=["whole", "detached", "view", "copy"],
)  # fmt: skip
def test_a_buffer_that_is_written_to_is_no_number(write):
    run = theory_of(lambda: Counting(write, lambda m, x: m.b(m.a(x) * m.buffer)), INPUT)
    assert second_moment(run, "a")[0] is not None
    assert second_moment(run, "b")[0] is None
    assert len(ends(run)) == 1


def test_a_mask_in_a_buffer_that_is_written_to_is_not_known():
    def write(m):
        m.mask.detach()[:, 3:] = -math.inf

    run = theory_of(lambda: Counting(write, lambda m, x: attention(m, x, m.mask)), INPUT)
    (end,) = ends(run)
    assert end[2] in (
        "what it hides, or adds to scores, is not known",
        "it takes values of which a part was changed",
    )


def test_a_fixed_number_is_a_factor():
    run = theory_of(own(lambda m, x: m.b(m.a(x) * torch.tensor(2.0)), **LAYERS), INPUT)
    assert ends(run) == []
    assert second_moment(run, "b")[0] == pytest.approx(after(4.0 * after(1.0)), rel=1e-12)


def test_scores_may_be_written_to():
    def forward(m, x):
        scores = heads_of(m.a(x)) @ heads_of(m.b(x)).mT
        scores /= math.sqrt(8)
        scores.masked_fill_(torch.ones(6, 6, dtype=torch.bool).triu(1), -math.inf)
        return tokens_of(functional.dropout(scores.softmax(-1), 0.1, inplace=True)
                         @ heads_of(m.c(x)))  # fmt: skip

    run, found = layers_of(own(forward, **LAYERS))
    assert ends(run) == []
    (layer,) = (one for one in found if isinstance(one, L.DotProductAttention))
    assert (layer.causal, layer.dropout) == (True, 0.1)


def test_dropout_in_place_is_dropout():
    make = own(
        lambda m, x: m.b(m.drop(m.a(x).clone())), drop=lambda: nn.Dropout(0.5, True), **LAYERS
    )
    run = theory_of(make, INPUT)
    assert ends(run) == []
    assert second_moment(run, "b")[0] == pytest.approx(after(2.0 * after(1.0)), rel=1e-12)


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda m, x: torch.div(m.a(x), 0.5, rounding_mode="floor"), "it rounds what it divides"),
        (lambda m, x: m.b(m.a(x).long().to(x.dtype)), "it makes other numbers of them"),
        (lambda m, x: m.a(x).half().view(torch.bfloat16), "it makes other numbers of them"),
    ],
    ids=["rounded", "whole", "bits"],
)  # fmt: skip
def test_other_numbers_end_theory(forward, reason):
    run = theory_of(own(forward, **LAYERS), INPUT, backward=False)
    assert ends(run) == [("Own", 1, reason)]


def test_products_of_vectors_are_no_scores():
    run = theory_of(own(lambda m, x: m.a(x)[0, 0] @ m.b(x)[0, 0], **LAYERS), "Bx1x64", batch=1)
    words = "its tokens, heads or units are along other axes than those of attention"
    assert ends(run) == [("Own", 1, words)]


def test_a_number_over_scores_is_no_factor_of_them():
    def forward(m, x):
        scores = torch.tensor(8.0) / (heads_of(m.a(x)) @ heads_of(m.b(x)).mT)
        return tokens_of(scores.softmax(-1) @ heads_of(m.c(x)))

    run = theory_of(own(forward, **LAYERS), INPUT)
    assert ends(run) == [("Own", 1, "it does more with scores than a softmax of them")]


def test_samples_in_another_order_are_other_samples():
    def forward(m, x):
        keys = m.b(x).view(2, 2, 6, 64).transpose(0, 1).reshape(4, 6, 64)
        return functional.scaled_dot_product_attention(m.a(x), keys, m.c(x))

    run = theory_of(own(forward, **LAYERS), INPUT)
    words = "queries, keys and values have samples or heads along other axes"
    assert ends(run) == [("Own", 1, words)]


@pytest.mark.parametrize("copy", [lambda w: w.T, lambda w: w.flip(1), lambda w: -w])
def test_weights_in_another_order_are_a_copy(copy):
    def made():
        module = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False))
        with torch.no_grad():
            module[1].weight.copy_(copy(module[0].weight))
        return module

    assert ends(theory_of(made, INPUT)) == [("1", 1, "its weights are a copy of 0.weight")]


def test_draws_of_one_size_are_no_copies():
    """All orthogonal matrices have the same mean square."""

    def made():
        module = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False))
        for layer in module:
            nn.init.orthogonal_(layer.weight)
        return module

    run = theory_of(made, INPUT)
    assert ends(run) == []
    assert run["1"].statistics["second_moment"].theory == pytest.approx(1.0)
    assert snstat.trace(made, INPUT, trials=1, batch=2).module.theory_ends == ()
