"""PyTorch's own recurrent networks and transformers, with the batch first and second."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snstat.sources.calls.seeds import INPUTS, READ_OUT, seed_of
from tests.peers.trace.test_axes import letters, roles
from tests.peers.trace.tracing import assert_measured, trace, untouched

pytestmark = pytest.mark.peers

WIDTHS = {"d_model": 8, "nhead": 2, "dim_feedforward": 16, "dropout": 0.0}
LAYERS = {"num_encoder_layers": 1, "num_decoder_layers": 2}


def generator(purpose):
    return torch.Generator().manual_seed(seed_of(0, 0, purpose))


def read_out(outputs):
    """Return the squared norm of the gradient of each output of a read-out of all of them."""
    draws = generator(READ_OUT)
    weights = [torch.randn(y.shape, generator=draws).to(y) for y in outputs]
    return [w.square().sum().item() for w in weights], weights


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("kind", "states"), [(nn.LSTM, 2), (nn.GRU, 1)])
def test_a_recurrent_network(kind, states, first):
    """Every output is that of the network itself; states hold layers where others hold times."""
    torch.manual_seed(0)
    model = kind(8, 6, num_layers=2, batch_first=first).double()
    spec = "Bx5x8" if first else "5xBx8"
    with untouched(model):
        rows = trace(model, [spec], trials=1, batch=4)
    shape = (4, 5, 8) if first else (5, 4, 8)
    x = torch.randn(shape, generator=generator(INPUTS)).double().requires_grad_()
    y, ends = model(x)
    outputs = [y, *(ends if states == 2 else [ends])]
    name = kind.__name__
    names = [f"{name}[0]", *([f"{name}[1][0]", f"{name}[1][1]"] if states == 2 else [f"{name}[1]"])]
    assert [row.name for row in rows.summary.rows] == names
    sequence = "S,P,U" if first else "P,S,U"
    assert roles(rows) == dict(zip(names, [sequence] + ["P,S,U"] * states, strict=True))
    for tensor in outputs:
        tensor.retain_grad()
    squares, weights = read_out(outputs)
    torch.autograd.backward(outputs, weights)
    for own, tensor in zip(names, outputs, strict=True):
        assert_measured(rows[own], tensor, letters(rows.call(own).axes, 3).replace(",", ""))
        square = tensor.grad.square().sum().item() / sum(squares)
        assert rows[own]["gradient"][0] == pytest.approx(square, rel=1e-12)
    assert rows["input"]["gradient"][0] == pytest.approx(
        x.grad.square().sum().item() / sum(squares), rel=1e-12
    )
    (end,) = rows.traced.mapped.ends
    states = "it takes states of a cell, or of several layers"
    assert end.reason in (states, "the first axis of 5xBx8 is not that of samples")


def transformer(first):
    torch.manual_seed(0)
    return nn.Transformer(**WIDTHS, **LAYERS, batch_first=first).double()


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")  # of torch, for the second
@pytest.mark.parametrize("first", [True, False])
def test_a_transformer(first):
    """Every row is that of plain hooks of the test's own, forward and back."""
    model = transformer(first)
    specs = {"src": "Bx5x8", "tgt": "Bx3x8"} if first else {"src": "5xBx8", "tgt": "3xBx8"}
    with untouched(model):
        rows = trace(model, specs, trials=1, batch=4)
    axes = "SPU" if first else "PSU"
    assert set(roles(rows).values()) == {",".join(axes)}
    assert rows.call("encoder").shape == (("S", 5, 8) if first else (5, "S", 8))
    assert rows.call("decoder.layers.1.linear1").shape[-1] == 16
    assert {"decoder.layers.1.multihead_attn[0]", "encoder.layers.0.norm2"} <= set(rows.names)
    draws = generator(INPUTS)
    tensors = {
        name: torch.randn([4 if n == "B" else int(n) for n in spec.split("x")], generator=draws)
        for name, spec in specs.items()
    }
    kept = {}
    handles = [
        module.register_forward_hook(
            lambda _module, _args, output, path=path: kept.__setitem__(path, output)
        )
        for path, module in model.named_modules()
    ]
    end = model(**{name: tensor.double() for name, tensor in tensors.items()})
    for handle in handles:
        handle.remove()
    kept["Transformer"] = kept.pop("")
    for row in rows.summary.rows:
        value = kept[row.path]
        kept[row.name] = value[0] if isinstance(value, tuple) else value
        kept[row.name].retain_grad()
    squares, weights = read_out([end])
    end.backward(*weights)
    for row in rows.summary.rows:
        tensor = kept[row.name]
        assert_measured(rows[row.name], tensor, axes)
        square = tensor.grad.square().sum().item() / squares[0]
        assert rows[row.name]["gradient"][0] == pytest.approx(square, rel=1e-11), row.name


def test_no_row_of_a_padded_transformer_is_lost():
    """A mask of padding is an input as any other."""
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(**WIDTHS, batch_first=True), 2)
    mask = np.zeros((4, 5), bool)
    mask[:, 4] = True
    rows = trace(model.train(), {"src": "Bx5x8", "src_key_padding_mask": mask}, trials=1, batch=4)
    assert rows.summary.nonfinite is None
    assert {"layers.0.self_attn[0]", "layers.1.norm2"} <= set(rows.names)
