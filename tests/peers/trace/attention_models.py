"""Attention as it is written: by PyTorch's module, its function, or products and a softmax."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

HEADS = 8


def heads_of(x):
    """Return (batch, heads, tokens, units) of (batch, tokens, channels)."""
    return x.unflatten(2, (HEADS, -1)).transpose(1, 2)


def tokens_of(x):
    return x.transpose(1, 2).flatten(2)


class Fused(nn.Module):
    """Queries, keys and values of one layer, taken apart in one of the ways of `PARTS`."""

    def __init__(self, parts, width=64, **options):
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.parts, self.options = parts, options

    def forward(self, x):
        q, k, v = PARTS[self.parts](self.qkv(x), x.shape[-1])
        read = functional.scaled_dot_product_attention(q, k, v, **self.options)
        return self.proj(tokens_of(read))


PARTS = {
    "split": lambda x, width: map(heads_of, x.split(width, dim=2)),
    "sizes": lambda x, width: map(heads_of, x.split([width] * 3, dim=-1)),
    "chunk": lambda x, _: map(heads_of, x.chunk(3, -1)),
    "slices": lambda x, width: (
        heads_of(x[..., n * width : (n + 1) * width]) for n in range(3)
    ),
    "narrow": lambda x, width: (heads_of(x.narrow(2, n * width, width)) for n in range(3)),
    "timm": lambda x, _: x.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind(0),
    "selected": lambda x, _: (
        x.unflatten(2, (3, HEADS, -1)).select(2, n).transpose(1, 2) for n in range(3)
    ),
}  # fmt: skip


class Apart(nn.Module):
    """Queries, keys and values of three layers, read as `how` says."""

    def __init__(self, how, width=64, *, masked=False, rate=0.0):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.proj, self.drop = nn.Linear(width, width), nn.Dropout(rate)
        self.how, self.masked = how, masked
        self.register_buffer("mask", torch.tril(torch.ones(1, 1, 32, 32)))

    def forward(self, x):
        read = WRITTEN[self.how](self, *(heads_of(own(x)) for own in (self.q, self.k, self.v)))
        return self.proj(tokens_of(read))


def _products(model, q, k, v):
    scores = q @ k.transpose(-2, -1) * (1.0 / math.sqrt(q.shape[-1]))
    count = scores.shape[-1]
    if model.masked:
        scores = scores.masked_fill(model.mask[:, :, :count, :count] == 0, -math.inf)
    return model.drop(functional.softmax(scores, dim=-1)) @ v


def _added(_, q, k, v):
    scores = torch.matmul(q, k.mT) / math.sqrt(q.shape[-1])
    later = torch.full(scores.shape[-2:], -math.inf).triu(1)
    return torch.matmul((scores + later).softmax(-1), v)


def _chosen(model, q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    count = scores.shape[-1]
    below = torch.finfo(scores.dtype).min
    scores = torch.where(model.mask[0, 0, :count, :count].bool(), scores, below)
    return scores.softmax(-1) @ v


def _batched(_, q, k, v):
    """Samples and heads along one axis."""
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    read = torch.bmm(torch.bmm(q, k.transpose(1, 2)).div(math.sqrt(q.shape[2])).softmax(-1), v)
    return read.unflatten(0, (-1, HEADS))


def _by_mask(model, q, k, v):
    count = q.shape[2]
    mask = model.mask[:, :, :count, :count].bool()
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


WRITTEN = {
    "products": _products,
    "added": _added,
    "where": _chosen,
    "batched": _batched,
    "mask": _by_mask,
}


class Module(nn.Module):
    """PyTorch's module, with or without the weights that it returns, and with a mask or none."""

    def __init__(self, width=64, *, weights=False, masked=False, hint=False, first=True, rate=0.0):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, HEADS, rate, batch_first=first)
        self.options = {"need_weights": weights, "is_causal": hint}
        self.masked, self.first = masked, first

    def forward(self, x):
        x = x if self.first else x.transpose(0, 1)
        count = x.shape[1 if self.first else 0]
        mask = nn.Transformer.generate_square_subsequent_mask(count) if self.masked else None
        read, _ = self.attention(x, x, x, attn_mask=mask, **self.options)
        return read if self.first else read.transpose(0, 1)


class Encoder(nn.Module):
    """Encoder layers, each drawn by itself, and a head; nn.TransformerEncoder copies one."""

    def __init__(self, blocks=2, width=64, *, norm_first=True, rate=0.1, classes=10):
        super().__init__()
        own = {"batch_first": True, "norm_first": norm_first, "dropout": rate}
        self.blocks = nn.ModuleList(
            [nn.TransformerEncoderLayer(width, HEADS, 2 * width, **own) for _ in range(blocks)]
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))
