"""Theory beside traces of attention and of gates, however their code is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import snstat
from snstat import layers as L  # noqa: N812  # as its page writes it
from snstat.layers.entry import Entry
from snstat.layers.shape import Shape
from tests.peers.trace.attention_models import (
    HEADS,
    PARTS,
    Apart,
    Encoder,
    Fused,
    Module,
    heads_of,
)
from tests.peers.trace.own_modules import assert_halved, entries, own, theory_of, traced
from tests.peers.trace.test_theory import DEFAULT, ends

pytestmark = pytest.mark.peers

INPUT, WIDTH = "Bx6x64", 64
NAMES = ("second_moment", "gradient", "cosine", "position_cosine")
GLOROT = {"init": "glorot_uniform"}
NOT_NEXT = "it takes channels or positions that are not next to each other"
UNBIASED = {"init": "torch_default", "bias_std": 0.0}


def flat(found):
    """Return layers and inputs without scales, which must multiply to 1 in front of each layer."""
    factors, kept, places = {0: 1.0}, [], {0: 0}
    for number, entry in enumerate(found, 1):
        before = tuple(entry.inputs)
        if isinstance(entry.layer, L.Scale):
            factors[number] = factors[before[0]] * entry.layer.factor
            places[number] = places[before[0]]
            continue
        assert [factors[n] for n in before] == pytest.approx([1.0] * len(before))
        kept.append(Entry(entry.layer, tuple(places[n] for n in before)))
        factors[number], places[number] = 1.0, len(kept)
    return kept


def fused(own_options, output, **options):
    parts = (Entry(L.Slice(n * WIDTH, (n + 1) * WIDTH), (1,)) for n in range(3))
    reads = L.DotProductAttention(heads=HEADS, **options)
    return [Entry(L.Dense(3 * WIDTH, **own_options), (0,)), *parts, Entry(reads, (2, 3, 4)),
            Entry(L.Dense(WIDTH, **output), (5,))]  # fmt: skip


def apart(**options):
    reads = L.DotProductAttention(heads=HEADS, **options)
    return [*(Entry(L.Dense(WIDTH, **DEFAULT), (0,)) for _ in range(3)), Entry(reads, (1, 2, 3)),
            Entry(L.Dense(WIDTH, **DEFAULT), (4,))]  # fmt: skip


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
def test_parts_of_one_layer(parts, causal):
    run, found = entries(lambda: Fused(parts, is_causal=causal), INPUT)
    assert flat(found) == fused(DEFAULT, DEFAULT, causal=causal)
    assert run["proj"].statistics["second_moment"].theory is not None


@pytest.mark.parametrize(
    ("how", "options", "expected"),
    [
        ("products", {}, {}),
        ("products", {"masked": True, "rate": 0.2}, {"causal": True, "dropout": 0.2}),
        ("added", {}, {"causal": True}),
        ("where", {}, {"causal": True}),
        ("batched", {}, {}),
        ("mask", {}, {"causal": True}),
    ],
)
def test_products_and_a_softmax(how, options, expected):
    _, found = entries(lambda: Apart(how, **options), INPUT)
    assert flat(found) == apart(**expected)


@pytest.mark.parametrize("first", [True, False], ids=["batch first", "batch second"])
@pytest.mark.parametrize("weights", [True, False], ids=["weights", "alone"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"masked": True}, {"causal": True}),
        ({"masked": True, "hint": True}, {"causal": True}),
        ({"rate": 0.1}, {"dropout": 0.1}),
    ],
    ids=["all", "mask", "hint", "dropout"],
)
def test_the_module_of_pytorch(first, weights, options, expected):
    run, found = entries(lambda: Module(weights=weights, first=first, **options), INPUT)
    assert flat(found) == fused(GLOROT, UNBIASED, **expected)
    # What its code calculates and nobody uses ends nothing.
    assert run["attention[0]"].statistics["second_moment"].theory is not None
    cosine = run["attention[0]"].statistics["cosine"].theory
    assert (cosine is not None) == first  # else samples are along the second axis there


def test_in_eval_mode_nothing_is_dropped():
    _, found = entries(lambda: Module(rate=0.1), INPUT, mode="eval")
    assert flat(found) == fused(GLOROT, UNBIASED)


def test_a_scale_of_its_own_is_a_factor():
    """That of T5 is 1, so that scores are √d times as large."""
    _, found = entries(lambda: Fused("split", scale=1.0), INPUT)
    factors = [entry.layer.factor for entry in found if isinstance(entry.layer, L.Scale)]
    assert factors == pytest.approx([np.sqrt(WIDTH / HEADS)])


@pytest.mark.parametrize("norm_first", [True, False], ids=["pre", "post"])
def test_encoders_agree_with_theory(norm_first):
    """What finite width changes is of first order in 1/width: half of it at the double width. Means
    of two widths are each within 4.5 errors, of 47 degrees of freedom and about 170 numbers, and
    squares that a norm makes 1 are rounded to float32; the seed is fixed."""
    runs = []
    for width in (64, 128):
        options = {"width": width, "norm_first": norm_first}
        runs.append(snstat.trace(Encoder, f"Bx6x{width}", trials=48, batch=8, seed=2, set=options))
        assert ends(runs[-1]) == []
        for name in NAMES:
            found = runs[-1].statistics[name]
            assert np.isfinite(found.theory[np.isfinite(found.estimate)]).all(), name
    assert_halved(*runs, NAMES, 4.5)


def test_the_same_layers_simulated_agree():
    """|t| < 4.5 of about 94 degrees of freedom, at the same width, heads and tokens."""
    run, network = traced(Encoder, INPUT, trials=48, batch=8)
    other = snstat.propagate(network, trials=48, batch=8, backward=True)
    rows = {row.name.rpartition(".")[2]: n for n, row in enumerate(other.network.layers)}
    ours = {"blocks.0.norm2": "blocks_0_norm2", "blocks.1.linear2": "blocks_1_linear2",
            "norm": "norm", "head": "head"}  # fmt: skip
    paths = [run.row(n).name for n in range(run.depth + 1)]
    for name in ("second_moment", "cosine", "position_cosine", "gradient"):
        one, two = run.statistics[name], other.statistics[name]
        for path, layer in ours.items():
            a, b = paths.index(path), rows[layer]
            if name == "gradient" and path == "head":
                continue  # it is what the others are relative to
            if not np.isfinite(one.estimate[a]):
                continue
            error = np.hypot(np.nan_to_num(one.stderr[a]), np.nan_to_num(two.stderr[b]))
            off = one.estimate[a] - two.estimate[b]
            off = np.log(one.estimate[a] / two.estimate[b]) if name == "gradient" else off
            assert abs(off) <= 4.5 * error + 1e-6, (name, path)


def test_copies_are_no_independent_draw():
    """nn.TransformerEncoder makes all of its layers of one."""
    layer = {"d_model": 64, "nhead": HEADS, "dim_feedforward": 64, "batch_first": True}
    run = theory_of(lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(**layer), 2), INPUT)
    words = "its weights are a copy of layers.0.self_attn.in_proj_weight"
    assert ends(run) == [("layers.1.self_attn", 1, words)]
    assert run["layers.0"].statistics["second_moment"].theory is not None


def test_weights_of_addmm_are_those_of_gpt2():
    class Conv1d(nn.Module):
        """As transformers writes it: weights are (in, out), and positions are samples."""

        def __init__(self):
            super().__init__()
            self.weight, self.bias = (
                nn.Parameter(torch.empty(64, 32)),
                nn.Parameter(torch.zeros(32)),
            )
            nn.init.normal_(self.weight, std=0.02)

        def forward(self, x):
            return torch.addmm(self.bias, x.view(-1, 64), self.weight).view(*x.shape[:-1], 32)

    _, found = entries(Conv1d, INPUT)
    (layer,) = [entry.layer for entry in found]
    assert layer.width == 32
    assert layer.weight_gain == pytest.approx(0.02 * 8.0)


def shared(m, x):
    q = heads_of(m.a(x))
    return functional.scaled_dot_product_attention(q, q, heads_of(m.b(x)))


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (
            lambda m, x: functional.scaled_dot_product_attention(
                heads_of(m.a(x)), heads_of(m.b(x)), heads_of(m.c(x)),
                attn_mask=torch.ones(6, 6, dtype=torch.bool).triu(),
            ),
            "it reads some of the tokens, and not those before it",
        ),
        (
            lambda m, x: functional.scaled_dot_product_attention(
                heads_of(m.a(x)), heads_of(m.b(x)), heads_of(m.c(x)), attn_mask=torch.ones(6, 6)
            ),
            "it adds numbers to scores",
        ),
        (
            lambda m, x: functional.scaled_dot_product_attention(
                heads_of(m.a(x)), heads_of(m.b(x)), heads_of(m.c(x)), attn_mask=torch.rand(6, 6)
            ),
            "what it hides, or adds to scores, is not known",
        ),
        (
            lambda m, x: functional.scaled_dot_product_attention(
                heads_of(m.a(x)), heads_of(m.b(x))[:, :4], heads_of(m.c(x))[:, :4], enable_gqa=True
            ),
            "queries, keys and values have different numbers of heads",
        ),
        (
            lambda m, x: (m.a(x) @ m.b(x).mT).tanh() @ m.c(x),
            "it does more with scores than a softmax of them",
        ),
        (
            lambda m, x: (m.a(x) @ m.b(x).mT).softmax(1) @ m.c(x),
            "it does more with scores than a softmax of them",
        ),
        (
            lambda m, x: m.a(x) @ m.b(x).mT @ m.c(x),
            "it does more with scores than a softmax of them",
        ),
        (lambda m, x: m.a(x).mT @ m.b(x), "its tokens, heads or units are along other axes"),
        (lambda m, x: m.a(x)[1:], "it takes some of the samples"),
        (lambda m, x: m.a(x)[:, ::2], NOT_NEXT),
        (lambda m, x: m.a(x)[..., ::2], NOT_NEXT),
        (lambda m, x: heads_of(m.a(x))[..., :4], NOT_NEXT),
        (
            lambda m, x: functional.layer_norm(m.a(x).unflatten(2, (2, 4, 8)), (4, 8)),
            "it takes a part of the channels",
        ),
        (
            lambda m, x: functional.layer_norm(heads_of(m.a(x)), (6, 8)),
            "it is over channels and positions",
        ),
        (
            lambda m, x: functional.layer_norm(heads_of(m.a(x)), (8,)),
            "it takes a part of the channels",
        ),
    ],
)  # fmt: skip
def test_what_is_no_attention_ends_theory(forward, reason):
    layers = {name: lambda: nn.Linear(64, 64) for name in "abc"}
    found = ends(theory_of(own(forward, **layers), INPUT, backward=False))
    assert [end[2].startswith(reason) for end in found] == [True]


def test_theory_says_where_scores_are_of_one_layer():
    """Layers of which nothing is known are the walk's to tell, with the layer's reason."""
    run = theory_of(own(shared, a=lambda: nn.Linear(64, 64), b=lambda: nn.Linear(64, 64)), INPUT)
    (end,) = ends(run)
    assert end[2].endswith("two of q, k and v depend on the same weights")


def test_a_norm_over_heads_and_units_is_over_channels():
    def forward(m, x):
        return m.b(functional.layer_norm(m.a(x).unflatten(2, (HEADS, 8)), (HEADS, 8)).flatten(2))

    _, found = entries(own(forward, **{name: lambda: nn.Linear(64, 64) for name in "ab"}), INPUT)
    assert [entry.layer.kind for entry in found] == ["dense", "layer_norm", "dense"]


def test_a_layer_before_it_may_know_nothing_of_pairs():
    def forward(m, x):
        y = functional.rms_norm(m.up(functional.glu(m.first(x.relu()), -1)).relu(), (64,))
        return functional.scaled_dot_product_attention(m.a(y), m.b(y), m.c(y))

    layers = {name: lambda: nn.Linear(64, 64) for name in ("first", "a", "b", "c")}
    run = theory_of(own(forward, up=lambda: nn.Linear(32, 64), **layers), INPUT)
    assert [end[2].rpartition(": ")[2] for end in ends(run)] == [
        "it follows values that are not Gaussian",
        "pairs of positions are not followed",
    ]


def test_positions_in_front_of_the_samples():
    """Whatever the order of the first axes, channels are last for linear layers and norms."""
    make = own(
        lambda m, x: m.b(m.norm(m.a(x.transpose(0, 1))).relu()).transpose(0, 1).mean(1),
        a=lambda: nn.Linear(64, 32), norm=lambda: nn.LayerNorm(32), b=lambda: nn.Linear(32, 16),
    )  # fmt: skip
    run, found = entries(make, INPUT)
    kinds = [entry.layer.kind for entry in found]
    assert kinds == ["dense", "layer_norm", "activation", "dense", "global_mean_pool"]
    assert run["Own"].statistics["second_moment"].theory is not None
    _, network = traced(make, INPUT, backward=False)
    assert network.input == Shape(64, (6,))
