"""Theory beside traces that start from numbers of tokens: embeddings, encodings of positions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import snstat
from snstat import layers as L  # noqa: N812  # as its page writes it
from snstat.layers.shape import Shape
from tests.peers.trace.own_modules import assert_halved, entries, own, theory_of, traced
from tests.peers.trace.test_theory import ends

pytestmark = pytest.mark.peers

TOKENS, TIMES, WIDTH = 500, 12, 64
INPUT = f"tokens:{TOKENS}:Bx{TIMES}"


def sinusoids(times=40, width=WIDTH, *, apart=False):
    """Return the encoding of PyTorch's tutorial, or that of "Attention is all you need" with all
    cosines after all sines."""
    angles = torch.arange(times)[:, None] * torch.exp(
        torch.arange(0, width, 2) * (-math.log(10_000.0) / width)
    )
    found = torch.zeros(times, width)
    if apart:
        return torch.cat([torch.sin(angles), torch.cos(angles)], 1)
    found[:, ::2], found[:, 1::2] = torch.sin(angles), torch.cos(angles)
    return found


class Tokens(nn.Module):
    """An embedding, and a function of its values and of an encoding, in one of many forms."""

    def __init__(self, forward, encoding=None, *, std=1.0, padding=None, buffer=False):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, WIDTH, padding_idx=padding)
        nn.init.normal_(self.embed.weight, 0.0, std)
        if padding is not None:
            nn.init.zeros_(self.embed.weight[padding].detach())
        if buffer:
            self.register_buffer("encoding", encoding())
        elif encoding is not None:
            self.encoding = encoding()
        self.own = forward

    def forward(self, ids):
        return self.own(self, ids)


def looked_up(m, ids):
    return m.embed(ids) + m.encoding(torch.arange(ids.shape[1]))


def expanded(m, ids):
    return m.encoding(torch.arange(ids.shape[1]).expand(len(ids), -1)) + m.embed(ids)


def sliced(m, ids):
    return m.embed(ids) + m.encoding[:, : ids.shape[1]]


def whole(m, ids):
    return m.embed(ids) + m.encoding


def times_first(m, ids):
    return m.embed(ids.T) + m.encoding[: ids.shape[1]][:, None]


def table(std=1.0, rows=40):
    return lambda: nn.Parameter(std * torch.randn(rows, WIDTH))


def samples(std=1.0, rows=40):
    return lambda: nn.Parameter(std * torch.randn(1, rows, WIDTH))


def positions(std=1.0):
    def make():
        found = nn.Embedding(40, WIDTH)
        nn.init.normal_(found.weight, 0.0, std)
        return found

    return make


LEARNED = L.Positions("normal")


@pytest.mark.parametrize(
    ("forward", "encoding", "buffer", "expected"),
    [
        (looked_up, positions(), False, LEARNED),
        (looked_up, positions(0.02), False, L.Positions("normal", 0.02)),
        (expanded, positions(), False, LEARNED),
        (sliced, samples(0.02), False, L.Positions("normal", 0.02)),
        (whole, samples(rows=TIMES), False, LEARNED),
        (whole, table(rows=TIMES), False, LEARNED),
        (times_first, table(), False, LEARNED),
        (sliced, lambda: sinusoids()[None], True, L.Positions()),
        (sliced, lambda: sinusoids(apart=True)[None], True, L.Positions()),
        (times_first, sinusoids, True, L.Positions()),
        (lambda m, ids: m.embed(ids) + sinusoids(TIMES), None, False, L.Positions()),
    ],
    ids=[
        "looked up", "std", "expanded", "sliced", "whole", "no axis of samples", "times first",
        "sinusoids", "apart", "times first, sinusoids", "computed",
    ],
)  # fmt: skip
def test_encodings_of_positions(forward, encoding, buffer, expected):
    model = own_tokens(forward, encoding, std=0.02, buffer=buffer)
    _, found = entries(model, INPUT)
    assert [entry.layer for entry in found] == [L.Embedding(WIDTH, 0.02), expected]


def own_tokens(*args, **options):
    return lambda: Tokens(*args, **options)


def zeros():
    return nn.Parameter(torch.zeros(1, 40, WIDTH))


def test_encodings_that_start_at_0_change_nothing():
    run, found = entries(own_tokens(sliced, zeros), INPUT)
    assert [entry.layer for entry in found] == [L.Embedding(WIDTH)]
    assert run["Tokens"].statistics["second_moment"].theory == 1.0


def scaled(m, ids):
    return m.embed(ids.view(-1, TIMES)).mul(8.0) + m.encoding[: ids.shape[1]]


def test_the_network_of_a_module_from_tokens():
    """Its file has the tokens, and says the same of every layer."""
    _, network = traced(own_tokens(scaled, sinusoids, buffer=True), INPUT)
    assert network.input == Shape.of_tokens(TOKENS, (TIMES,))
    kinds = [row.layer.kind for row in network.rows()]
    assert kinds == ["embedding", "scale", "positions"]
    run = snstat.propagate(network, trials=2, batch=4)
    # E[x²] is 64, and a half of sines and cosines
    assert run.layers[-1].statistics["second_moment"].theory == pytest.approx(64.5, rel=1e-12)


class Decoder(nn.Module):
    """A block of GPT-2, with the activation of its size, from tokens."""

    def __init__(self, width=WIDTH, heads=4):
        super().__init__()
        self.tokens, self.places = nn.Embedding(TOKENS, width), nn.Embedding(TIMES, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads = heads
        for module in (self.tokens, self.places):
            nn.init.normal_(module.weight, 0.0, 0.02)

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        parts = self.qkv(self.norms[0](x)).chunk(3, -1)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        read = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(read.transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(self.norms[1](x))))


def test_a_decoder_agrees_with_theory():
    """What finite width changes is of first order in 1/width. Means of two widths are each within
    4.5 errors, of 63 degrees of freedom and 30 numbers; the seed is fixed."""
    runs = []
    for width in (64, 128):
        options = {"trials": 64, "batch": 4, "seed": 1, "set": {"width": width}}
        runs.append(theory_of(Decoder, INPUT, **options))
        assert ends(runs[-1]) == []
        # All rows but that of positions, and of the input, which is of tokens.
        for name in ("second_moment", "gradient"):
            assert np.isfinite(runs[-1].statistics[name].theory).sum() == 8
    assert_halved(*runs, ("second_moment", "gradient", "cosine", "position_cosine"), 4.5)


def doubled(m, ids):
    return m.embed(ids * 2 // 2)


def numbers(m, ids):
    return functional.one_hot(ids, TOKENS).float() @ m.embed.weight


def same_place(m, ids):
    return m.embed(ids) + m.encoding(torch.zeros(TIMES, dtype=torch.long))


def of_channels(m, ids):
    return m.embed(ids).transpose(1, 2) + m.encoding.T[:, : ids.shape[1]]


def tied(m, ids):
    return m.embed(ids) @ m.embed.weight.T


def uniform():
    found = nn.Embedding(40, WIDTH)
    nn.init.uniform_(found.weight, -0.05, 0.05)
    return found


def partly():
    return nn.Parameter(torch.cat([torch.zeros(1, 1, WIDTH), torch.randn(1, 39, WIDTH)], 1))


CALCULATED = "it calculates with the numbers of tokens"
OTHERS = "it depends on other values than those of the input"


@pytest.mark.parametrize(
    ("forward", "encoding", "options", "reason"),
    [
        (doubled, None, {}, CALCULATED),
        (numbers, None, {}, "one_hot has no theory"),
        (same_place, positions(), {}, OTHERS),
        (of_channels, table(), {}, OTHERS),
        (looked_up, uniform, {}, "its encodings are not normal"),
        (sliced, partly, {}, "row 0 of its encodings is 0, as that of padding is"),
        (sliced, lambda: torch.randn(1, 40, WIDTH), {"buffer": True}, OTHERS),
        (lambda m, ids: m.embed(ids), None, {"padding": 3},
         "row 3 of its weights is 0, as that of padding is"),
    ],
    ids=["sum", "one hot", "one place", "channels", "uniform", "a zero", "a buffer", "padding"],
)  # fmt: skip
def test_where_theory_of_tokens_ends(forward, encoding, options, reason):
    run = theory_of(own_tokens(forward, encoding, **options), INPUT)
    assert [end.reason for end in run.module.theory_ends] == [reason]


def test_tokens_below_the_padding_have_theory():
    model = own_tokens(lambda m, ids: m.embed(ids), padding=TOKENS - 1)
    run = theory_of(model, f"tokens:{TOKENS - 1}:Bx{TIMES}")
    assert ends(run) == []
    assert run["embed"].statistics["second_moment"].theory == 1.0


def test_masks_beside_tokens():
    """Theory starts from the tokens, and ends where the mask is used."""

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(TOKENS, WIDTH), nn.Linear(WIDTH, 8)

        def forward(self, ids, mask):
            return self.head(self.embed(ids) * mask[..., None])

    run = theory_of(Masked, {"ids": INPUT, "mask": f"ones:Bx{TIMES}"})
    assert run["embed"].statistics["second_moment"].theory == 1.0
    assert [end.reason for end in run.module.theory_ends] == [OTHERS]
    assert run.statistics["second_moment"].theory[0] != 1.0  # that of the mask is not known


def test_tokens_on_more_axes_than_a_grid_has():
    run = theory_of(own_tokens(lambda m, ids: m.embed(ids).sum((1, 2, 3))), "tokens:9:Bx2x3x4")
    assert run.module.theory_ends == ()
    assert any("no theory: grid" in note for note in run.module.notes)


def test_single_tokens_have_no_grid():
    def forward(m, ids):
        return m.layer(m.embed(ids))

    parts = {"embed": lambda: nn.Embedding(9, 32), "layer": lambda: nn.Linear(32, 8)}
    _, network = traced(own(forward, **parts), "tokens:9:B")
    assert network.input == Shape.of_tokens(9)
