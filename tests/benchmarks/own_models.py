"""Models of well-known shapes, built of plain modules, whose traces are timed."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

BATCH = 8
TOKENS, VOCABULARY = 128, 50_257


class Basic(nn.Module):
    """A block of ResNet-18."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Identity()
        if before != after:
            conv = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(after))

    def forward(self, x):
        found = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(found)) + self.shortcut(x))


class Attention(nn.Module):
    """Attention over all tokens, or those before each if `causal`."""

    def __init__(self, width, heads, *, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.proj(found.transpose(1, 2).reshape(batch, tokens, width))


class Layer(nn.Module):
    """A pre-norm block of a transformer."""

    def __init__(self, width, heads, *, causal):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal=causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    """ViT-tiny: 12 layers of width 192 on 197 tokens."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 192, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, 192))
        self.places = nn.Parameter(0.02 * torch.randn(1, 197, 192))
        self.layers = nn.Sequential(*(Layer(192, 3, causal=False) for _ in range(12)))
        self.norm, self.head = nn.LayerNorm(192), nn.Linear(192, 1000)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        return self.head(self.norm(self.layers(x))[:, 0])


class Gpt(nn.Module):
    """GPT-2 small: 12 layers of width 768 on 128 tokens."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, 768), nn.Embedding(1024, 768)
        self.layers = nn.Sequential(*(Layer(768, 12, causal=True) for _ in range(12)))
        self.norm = nn.LayerNorm(768)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        return self.norm(self.layers(x))


def resnet():
    """ResNet-18 on 224 × 224."""
    widths = [64, 64, 128, 256, 512]
    blocks = []
    for before, after in pairwise(widths):
        blocks += [Basic(before, after, 1 + (before != after)), Basic(after, after, 1)]
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks, *end)


def models():
    """Return each model in train mode, and an input, by name."""
    torch.manual_seed(0)
    image = torch.randn(BATCH, 3, 224, 224)
    return {
        "ResNet-18": (resnet(), image),
        "ViT-tiny": (Vit(), image),
        "GPT-2 small": (Gpt(), torch.randint(VOCABULARY, (BATCH, TOKENS))),
    }
