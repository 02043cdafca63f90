"""Which operations on grids are which layers, and where channels and positions are in tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from snstat import layers as L  # noqa: N812  # as its page writes it
from snstat.layers.shape import Shape
from snstat.sources.torch.layout import CHANNELS, SAMPLES, Layout
from tests.peers.trace.own_modules import conv, own, theory_of, traced
from tests.peers.trace.test_theory import DEFAULT, ends, unknown

pytestmark = pytest.mark.peers


def assert_layers(target, inputs, *parts, shape, rows=None, **options):
    """Assert that a module is these layers: the network of its trace is their chain."""
    run, network = traced(target, inputs, backward=False, **options)
    assert network.input == Shape(*shape)
    assert [entry.layer for entry in network.block.entries] == list(parts)
    for row in rows or ():
        assert not unknown(run, row, "variance_over_batch")
    return run


PLAIN = {"init": "torch_default", "bias_std": 0.0}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"padding": "same"}, {}),
        ({"padding": "valid"}, {"padding": "valid"}),
        ({}, {"padding": "valid"}),
        ({"padding": 2, "dilation": 2}, {"dilation": 2}),
        ({"padding": 1, "stride": 2}, {"stride": 2}),
        ({"padding": 1, "padding_mode": "circular"}, {"padding": "circular"}),
        ({"kernel_size": (3, 1), "padding": (1, 0)}, {"kernel": (3, 1)}),
        ({"kernel_size": 4, "padding": 1, "stride": 2}, {"kernel": 4, "stride": 2}),
        ({"kernel_size": 4, "padding": "same"}, {"kernel": 4}),
        ({"padding": 1, "groups": 2}, {"groups": 2}),
    ],
)
def test_paddings_of_convolutions(options, expected):
    def one():
        return nn.Conv2d(64, 64, bias=False, **{"kernel_size": 3, **options})

    layer = L.Conv(**{"channels": 64, "kernel": 3, **expected}, **PLAIN)
    assert_layers(one, "Bx64x8x8", layer, shape=(64, (8, 8)), rows=["Conv2d"])


def test_a_window_of_an_even_number_stands_where_that_of_pytorch_does():
    """Padding same has one more zero on the right; so has a stride of 2 that begins with one zero
    on the left. The values of both are compared position by position."""
    layer = L.Conv(channels=1, kernel=4, stride=2, weight_std=1.0)
    window = layer.window(Shape(1, (8,)))
    ones = torch.nn.functional.conv1d(
        torch.arange(8.0)[None, None], torch.ones(1, 1, 4), None, 2, 1
    )
    taken = np.append(np.arange(8.0), 0.0)[window.sources].sum(0)
    np.testing.assert_array_equal(taken, ones[0, 0].numpy())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"padding": 2}, "its padding is neither same nor valid"),
        ({"kernel_size": 4, "padding": 1}, "its padding is neither same nor valid"),
        ({"kernel_size": 5, "padding": (2, 0)}, "its padding is neither same nor valid"),
        ({"padding": 1, "padding_mode": "reflect"}, "its border is reflect"),
        ({"padding": 2, "padding_mode": "circular"}, "its padding is neither same nor valid"),
    ],
)
def test_other_paddings_have_no_theory(options, reason):
    run = theory_of(lambda: nn.Conv2d(8, 64, **{"kernel_size": 3, **options}), "Bx8x8x8")
    assert ends(run) == [("Conv2d", 1, reason)]


def test_borders_by_hand():
    causal = own(
        lambda m, x: m.a(functional.pad(x, (4, 0))), a=lambda: nn.Conv1d(8, 8, 3, dilation=2)
    )
    layer = L.Conv(channels=8, kernel=3, dilation=2, padding="causal", **DEFAULT)
    assert_layers(causal, "Bx8x9", layer, shape=(8, (9,)), rows=["a"])
    padded = own(lambda m, x: m.a(m.pad(x)), pad=lambda: nn.ZeroPad2d(1), a=conv())
    layer = L.Conv(channels=8, kernel=3, **DEFAULT)
    run = assert_layers(padded, "Bx8x6x6", layer, shape=(8, (6, 6)), rows=["a"])
    assert unknown(run, "pad")  # it has a border, and the input has none


@pytest.mark.parametrize(
    ("forward", "path", "reason"),
    [
        (
            lambda m, x: m.a(functional.pad(x, (1, 1, 1, 1), value=1.0)),
            "Own",
            "its border is not of zeros",
        ),
        (
            lambda m, x: m.a(functional.pad(x, (-1, -1))),
            "Own",
            "its border is not around positions alone",
        ),
        (
            lambda m, x: m.a(torch.relu(functional.pad(x, (1, 1, 1, 1)))),
            "Own",
            "it takes values with a border around them",
        ),
        (
            lambda m, x: m.a(functional.pad(x, (1, 1, 1, 1)).relu_()),
            "Own",
            "it takes values with a border around them",
        ),
        (lambda m, x: m.a(m.b(x).transpose(1, 2)), "a", "it takes positions for channels"),
        (
            lambda m, x: m.a(m.b(x).transpose(2, 3)),
            "a",
            "it takes the axes of a grid in another order",
        ),
        (
            lambda m, x: m.a(m.b(x).view(-1, 4, 2, 8, 8).transpose(1, 2).flatten(1, 2)),
            "a",
            "it takes a part of the channels",
        ),
        (
            lambda m, x: torch.cat([m.b(x), m.b2(x)[:, :4]], 1).view(-1, 8, 12, 8),
            "Own",
            "it divides channels or positions",
        ),
        (
            lambda m, x: functional.group_norm(m.b(x).transpose(0, 1), 1),
            "Own",
            "it takes samples for channels",
        ),
        (
            lambda m, x: functional.group_norm(m.b(x).flatten(0, 1)[None], 1),
            "Own",
            "it takes samples for channels",
        ),
        (lambda m, x: m.b(x).mean(0), "Own", "it averages over more than positions"),
        (
            lambda m, x: functional.instance_norm(m.b(x).permute(2, 1, 0, 3)),
            "Own",
            "it takes samples for channels",
        ),
        (
            lambda m, x: m.b(x) + m.b2(x).transpose(2, 3),
            "Own",
            "its parts have their channels along other axes",
        ),
        (lambda m, x: torch.cat([m.b(x), m.b2(x)], 2), "Own", "it takes positions for channels"),
        (lambda m, x: torch.cat([m.b(x), m.b2(x)], 0), "Own", "it joins samples or positions"),
        (lambda m, x: m.b(x).mean(2), "Own", "it averages over a part of the positions"),
        (lambda m, x: m.b(x).mean(1), "Own", "it averages over more than positions"),
        (
            lambda m, x: m.b(x) * m.b2(x).mean((2, 3), keepdim=True),
            "Own",
            "its parts differ in shape",
        ),
        (
            lambda m, x: functional.max_pool2d(m.b(x), 4, 2, 2),
            "Own",
            "its windows reach beyond the grid",
        ),
        (
            lambda m, x: functional.avg_pool2d(m.b(x), 3, 2, ceil_mode=True),
            "Own",
            "its windows reach beyond the grid",
        ),
        (
            lambda m, x: functional.adaptive_avg_pool2d(m.b(x), 3),
            "Own",
            "its windows differ in size",
        ),
        (
            lambda m, x: functional.interpolate(m.b(x), scale_factor=1.5),
            "Own",
            "its positions have different numbers of copies",
        ),
        (
            lambda m, x: functional.interpolate(m.b(x), scale_factor=2, mode="bilinear"),
            "Own",
            "upsample_bilinear2d has no theory",
        ),
        (
            lambda m, x: functional.layer_norm(m.b(x), (8, 8)),
            "Own",
            "it is over channels and positions",
        ),
        (
            lambda m, x: functional.layer_norm(m.b(x), (8,)),
            "Own",
            "it takes positions for channels",
        ),
        (
            lambda m, x: m.b(x) + m.b2(x.transpose(2, 3)),
            "b2",
            "it takes the axes of a grid in another order",
        ),
    ],
)
def test_what_mixes_axes_ends_theory(forward, path, reason):  # fmt: skip
    target = own(forward, a=conv(), b=conv(padding=1), b2=conv(padding=1))
    found = ends(theory_of(target, "Bx8x8x8", backward=False))
    assert (path, reason) in [(end[0], end[2]) for end in found]


def two_of(m, one, other):
    return m.a(one) + m.b(other).reshape(one.shape)


def test_arrangements_of_the_input():
    """The first layer says what they are; others have no theory, but for the same one."""
    two = own(
        lambda m, x: m.a(x.flatten(1)) + m.b(x.view(x.shape[0], 2, 32).flatten(1)),
        a=lambda: nn.Linear(64, 16), b=lambda: nn.Linear(64, 16),
    )  # fmt: skip
    run = theory_of(two, "Bx4x4x4")
    assert ends(run) == []
    other = own(
        lambda m, x: m.a(x).mean((2, 3)) + m.b(x.permute(0, 2, 3, 1)).mean((1, 2)),
        a=lambda: nn.Conv2d(4, 16, 1), b=lambda: nn.Linear(4, 16),
    )  # fmt: skip
    assert ends(theory_of(other, "Bx4x4x4")) == []
    flat = own(
        lambda m, x: m.a(x.flatten(1)) + m.b(x).flatten(1),
        a=lambda: nn.Linear(64, 64), b=lambda: nn.Conv2d(4, 4, 1),
    )  # fmt: skip
    # To the first layer, what is along the axis of channels is a part of them.
    assert ("b", 1, "it takes a part of the channels") in ends(theory_of(flat, "Bx4x4x4"))
    across = own(
        lambda m, x: two_of(m, x.reshape(-1, 6, 4), x.reshape(-1, 3, 8)),
        a=lambda: nn.Linear(4, 4), b=lambda: nn.Linear(8, 8),
    )  # fmt: skip
    words = "it takes the input in another arrangement than a layer before it"
    assert ("b", 1, words) in ends(theory_of(across, "Bx2x12"))
    patches = own(
        lambda m, x: m.a(x.view(-1, 3, 2, 4, 2, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 48)),
        a=lambda: nn.Linear(48, 32),
    )  # fmt: skip
    assert_layers(patches, "Bx3x8x8", L.Dense(32, **DEFAULT), shape=(48, (4,)), rows=["a"])


def test_layers_on_grids_and_vectors():
    """What each of them is called in PyTorch, and where channels and positions are."""
    steps = own(
        lambda m, x: m.norm(m.up(m.mix(x.transpose(1, 2)).flatten(2))),
        mix=lambda: nn.Conv1d(8, 32, 1, bias=False), up=lambda: nn.Upsample(scale_factor=2),
        norm=lambda: nn.GroupNorm(1, 32),
    )  # fmt: skip
    parts = (
        L.Conv(channels=32, kernel=1, padding="valid", **PLAIN),
        L.Upsample(2),
        L.GroupNorm(groups=1),
    )
    assert_layers(steps, "Bx6x8", *parts, shape=(8, (6,)), rows=["mix", "up", "norm"])
    tokens = own(
        lambda m, x: m.a(m.norm(m.drop(x).flatten(2).movedim(1, -1))).mean(1),
        drop=lambda: nn.Dropout2d(0.25), norm=lambda: nn.LayerNorm(8),
        a=lambda: nn.Linear(8, 16),
    )  # fmt: skip
    parts = L.ChannelDropout(0.25), L.LayerNorm(), L.Dense(16, **DEFAULT), L.GlobalMeanPool()
    assert_layers(tokens, "Bx8x4x4", *parts, shape=(8, (4, 4)), rows=["norm", "a"])
    shuffled = own(
        lambda m, x: m.head(m.pool(m.instance(m.shuffle(x)))).squeeze(),
        shuffle=lambda: nn.PixelShuffle(2), instance=lambda: nn.InstanceNorm2d(4),
        pool=lambda: nn.AdaptiveAvgPool2d(1), head=lambda: nn.Conv2d(4, 32, 1),
    )  # fmt: skip
    parts = L.PixelShuffle(2), L.InstanceNorm(), L.GlobalMeanPool(), L.Dense(32, **DEFAULT)
    assert_layers(shuffled, "Bx16x4x4", *parts, shape=(16, (4, 4)))
    pools = own(
        lambda m, x: torch.relu(m.whole(m.even(m.mean(x)))).squeeze(3).squeeze(2) * 2.0,
        mean=lambda: nn.AvgPool2d(2, 1), even=lambda: nn.AdaptiveAvgPool2d((3, 1)),
        whole=lambda: nn.MaxPool2d((3, 1)),
    )  # fmt: skip
    parts = (
        L.MeanPool(2, 1), L.MeanPool((1, 3)), L.MaxPool((3, 1)), L.Activation("relu"), L.Flatten(),
        L.Scale(2.0),
    )  # fmt: skip
    assert_layers(pools, "Bx16x4x4", *parts, shape=(16, (4, 4)))


@pytest.mark.parametrize("sizes", [(8, 8), (7, 9)])
def test_a_padded_max_pool_is_that_of_the_kind(sizes):
    """As in the stem of a ResNet: the values of both are compared."""
    own = L.MaxPool(3, 2, padding="same")
    target = lambda: nn.Sequential(nn.MaxPool2d(3, 2, 1))  # noqa: E731
    assert_layers(target, f"Bx4x{sizes[0]}x{sizes[1]}", own, shape=(4, sizes))
    x = np.random.default_rng(0).normal(size=(2, 4, *sizes))
    expected = functional.max_pool2d(torch.from_numpy(x), 3, 2, 1).numpy()
    found = own.sample([x.swapaxes(0, 1)], None).values.swapaxes(0, 1)
    np.testing.assert_array_equal(found, expected)


def test_numbers_that_repeat_a_value_end_theory():
    """A sum with zeros of another shape has more positions than before."""
    repeated = own(
        lambda m, x: m.a(x).mean(2, keepdim=True) + m.zero[0],
        a=lambda: nn.Conv1d(8, 8, 1), zero=lambda: nn.ParameterList([torch.zeros(5)]),
    )  # fmt: skip
    assert ends(theory_of(repeated, "Bx8x6"))[-1] == ("Own", 1, "add has no theory")


def test_layouts_know_where_axes_go():
    """Of values that are numbered by sample, position and channel, against numpy's own reshape."""
    shape = Shape(6, (2, 4))
    sizes = {SAMPLES: 3, 0: 2, 1: 4, CHANNELS: 6}
    layout = Layout.first(shape, 3, 2)
    assert layout.sizes == (3, 6, 2, 4)
    assert layout.permuted((0, 2, 3, 1)).places == ((1, 2), (3,))
    numbers = {axis: numbered(sizes, axis) for axis in sizes}
    steps = [
        ("permute", (0, 2, 3, 1)), ("reshape", (24, 6)), ("reshape", (3, 8, 2, 3)),
        ("permute", (2, 1, 0, 3)), ("reshape", (2, 2, 4, 9)), ("reshape", (4, 1, 4, 3, 3)),
        ("permute", (3, 0, 2, 4, 1)),
    ]  # fmt: skip
    for step, argument in steps:
        if step == "permute":
            layout = layout.permuted(argument)
            numbers = {axis: own.transpose(argument) for axis, own in numbers.items()}
        else:
            layout = layout.reshaped(argument)
            numbers = {axis: own.reshape(argument) for axis, own in numbers.items()}
        for axis, there in numbers.items():
            np.testing.assert_array_equal(told(layout, axis), there, err_msg=f"{step} {argument}")
    assert Layout.first(shape, 3, 2).reshaped((4, 36)) is None  # 4 of the 3 samples × 6 channels
    one = Shape(1, (5,))
    assert Layout.first(one, 3, 1).has_channels(1, one)
    assert not Layout.first(one, 3, 1).has_channels(-1, one)


def numbered(sizes, axis):
    """Return (samples, channels, positions) filled with the numbers along one of them."""
    order = (SAMPLES, CHANNELS, 0, 1)
    found = np.indices([sizes[own] for own in order])
    return found[order.index(axis)]


def told(layout, axis):
    """Return what a layout says that the numbers along an axis are, everywhere in the tensor."""
    found = np.zeros(layout.sizes, int)
    for place, merged in enumerate(layout.axes):
        along = np.arange(layout.sizes[place])
        rest, own = along.size, np.zeros_like(along)
        for digit in merged:
            rest //= digit.size
            if digit.axis == axis:
                own += along // rest % digit.size * digit.stride
        found += own.reshape([-1 if n == place else 1 for n in range(len(layout.axes))])
    return found
