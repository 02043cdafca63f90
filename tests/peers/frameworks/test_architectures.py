"""Traces of transformers' architectures, small and random: their rows against plain hooks."""

from __future__ import annotations

from collections import defaultdict

import pytest

pytest.importorskip("transformers")

import torch
from transformers import (
    AutoModel,
    BertConfig,
    ConvNextConfig,
    GPT2Config,
    LlamaConfig,
    MixtralConfig,
    SwinConfig,
    T5Config,
    ViTConfig,
)
from transformers.utils import ModelOutput

import snstat
from snstat.sources.calls.seeds import INPUTS, READ_OUT, seed_of
from tests.peers.trace.test_axes import letters
from tests.peers.trace.tracing import assert_measured, trace, untouched

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the package
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

BATCH = 4
TOKENS = {"input_ids": "tokens:50:Bx6"}
ATTENTION = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16}
DECODER = {**ATTENTION, "num_key_value_heads": 1, "intermediate_size": 32, "vocab_size": 50}
# The configuration, the inputs, and the axes of some rows.
CASES = {
    "gpt2": (
        GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=50, n_positions=32),
        TOKENS,
        {"wte": "S,P,U", "wpe": "P,P,U", "h.0.attn[0]": "S,P,U", "h.1.mlp.act": "S,P,U"},
    ),
    "bert": (
        BertConfig(**ATTENTION, intermediate_size=32, vocab_size=50, max_position_embeddings=32),
        TOKENS,
        {"encoder.layer.1.output": "S,P,U", "pooler.activation": "S,U"},
    ),
    "t5": (
        T5Config(num_layers=2, d_model=16, d_kv=8, num_heads=2, d_ff=32, vocab_size=50),
        {"input_ids": "tokens:50:Bx5", "decoder_input_ids": "tokens:50:Bx4"},
        {
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias": "P,P,U",
            "encoder.block.1.layer.1": "S,P,U",
            "decoder.block.0.layer.1.EncDecAttention.k": "S,P,U",
        },
    ),
    "vit": (
        ViTConfig(**ATTENTION, intermediate_size=32, image_size=16, patch_size=4),
        {"pixel_values": "Bx3x16x16"},
        {
            "embeddings.patch_embeddings.projection": "S,U,P,P",
            "embeddings.patch_embeddings": "S,P,U",
            "layers.1.mlp.activation_fn": "S,P,U",
            "ViTModel.pooler_output": "S,U",
        },
    ),
    # Within the second stage images are as large as the number of channels.
    "convnext": (
        ConvNextConfig(depths=[1, 1, 1], hidden_sizes=[16, 4, 8], num_stages=3),
        {"pixel_values": "Bx3x32x32"},
        {
            "embeddings.patch_embeddings": "S,U,P,P",
            "embeddings.layernorm": "S,U,P,P",
            "encoder.stages.0.layers.0.layernorm": "S,P,P,U",
            "encoder.stages.0.layers.0.act": "S,P,P,U",
            "encoder.stages.0.layers.0": "S,U,P,P",
            "encoder.stages.1.downsampling_layer.0": "S,U,P,P",
            "encoder.stages.1.layers.0.layernorm": "S,P,P,U",
            "encoder.stages.1.layers.0.dwconv": "S,U,P,P",
            "encoder.stages.2.downsampling_layer.0": "S,U,P,P",
            "ConvNextModel.pooler_output": "S,U",
        },
    ),
    # Its windows are merged with the batch.
    "swin": (
        SwinConfig(image_size=16, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 2],
                   window_size=4),
        {"pixel_values": "Bx3x16x16"},
        {
            "embeddings.norm": "S,P,U",
            "encoder.layers.0.blocks.0.attention.q_proj": "SP,P,U",
            "encoder.layers.0.blocks.1.attention.o_proj": "SP,P,U",
            "encoder.layers.0.blocks.1[0]": "S,P,U",
            "encoder.layers.0.downsample.reduction": "S,P,U",
            "encoder.layers.0[1]": "S,U,P,P",
        },
    ),
    # Its tables of angles have no samples, and no path to the weights.
    "llama": (
        LlamaConfig(**DECODER),
        TOKENS,
        {
            "rotary_emb[0]": "P,P,U",
            "layers.0.self_attn.k_proj": "S,P,U",
            "layers.1.mlp.act_fn": "S,P,U",
            "norm": "S,P,U",
        },
    ),
    # Its tokens are merged with the batch, and within the experts sorted by expert.
    "mixtral": (
        MixtralConfig(**DECODER, num_local_experts=4),
        TOKENS,
        {
            "layers.0.mlp.gate[0]": "SP,U",
            "layers.0.mlp.experts.act_fn": None,
            "layers.1.mlp.experts": "SP,U",
            "layers.1": "S,P,U",
        },
    ),
}  # fmt: skip


def built(name):
    torch.manual_seed(0)
    return AutoModel.from_config(CASES[name][0])


def drawn(specs):
    """Return the inputs of trial 0, as the documentation says how they are drawn."""
    generator = torch.Generator().manual_seed(seed_of(0, 0, INPUTS))
    found = {}
    for name, spec in specs.items():
        *tokens, sizes = spec.removeprefix("tokens:").split(":")
        shape = [BATCH if size == "B" else int(size) for size in sizes.split("x")]
        found[name] = (
            torch.randint(int(tokens[0]), shape, generator=generator)
            if tokens
            else torch.randn(shape, generator=generator)
        )
    return found


def tensors(value):
    """Yield the tensors within lists, tuples and what transformers' models return."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple | ModelOutput):
        for entry in value.values() if isinstance(value, ModelOutput) else value:
            yield from tensors(entry)


def plain(model, specs):
    """Return what each call of a module returned, by its path, with gradients of a read-out of all
    that the model returns, by hooks of the test's own."""
    kept = defaultdict(list)
    handles = [
        module.register_forward_hook(
            lambda _module, _args, output, path=path: kept[path].append(output)
        )
        for path, module in model.named_modules()
    ]
    output = model(**drawn(specs))
    for handle in handles:
        handle.remove()
    for tensor in tensors([*kept.values()]):
        if tensor.requires_grad:
            tensor.retain_grad()
    ends = list({id(y): y for y in tensors(output)}.values())
    generator = torch.Generator().manual_seed(seed_of(0, 0, READ_OUT))
    torch.autograd.backward(ends, [torch.randn(y.shape, generator=generator) for y in ends])
    kept[type(model).__name__] = kept.pop("")
    return kept, sum(y.grad.double().square().sum() for y in ends)


def part(value, place):
    """Return the part of an output at a place such as [0] or .last_hidden_state."""
    if not place:
        return value
    return value[int(place[1:-1])] if place[0] == "[" else value[place[1:]]


@pytest.mark.parametrize("name", CASES)
def test_rows_are_what_plain_hooks_see(name):
    """Every row has the mean and second moment of its tensor and the size of its gradient."""
    model = built(name)
    inputs = CASES[name][1]
    with untouched(model):
        rows = trace(model, inputs, trials=1, batch=BATCH, mode="eval")
    kept, reference = plain(model.eval(), inputs)
    assert rows.summary.nonfinite is None
    assert {row.path for row in rows.summary.rows} == set(kept)
    compared = 0
    for row in rows.summary.rows:
        tensor = part(kept[row.path][row.call - 1], row.output)
        found, values = rows[row.name], tensor.detach().double()
        assert found["mean"][0] == pytest.approx(values.mean().item(), rel=1e-9, abs=1e-12)
        assert found["second_moment"][0] == pytest.approx(values.square().mean().item(), rel=1e-12)
        if tensor.grad is None:
            assert row.gradient_missing == "no path to the read-out", row.name
        else:
            square = tensor.grad.double().square().sum() / reference
            assert found["gradient"][0] == pytest.approx(square.item(), rel=1e-6), row.name
            compared += 1
    assert compared > 0.9 * len(rows.summary.rows) - 4


@pytest.mark.parametrize("name", CASES)
def test_axes_and_the_statistics_that_depend_on_them(name):
    model = built(name)
    _, inputs, axes = CASES[name]
    rows = trace(model, inputs, trials=1, batch=BATCH, mode="eval")
    kept, _ = plain(model.eval(), inputs)
    for row, expected in axes.items():
        call = rows.call(row)
        assert letters(call.axes, len(call.shape)) == expected, row
        if expected is None:
            continue
        tensor, roles = part(kept[call.path][call.call - 1], call.output).detach(), ""
        for axis, letter in enumerate(expected.split(",")):
            if letter == "SP":
                tensor = tensor.unflatten(axis, (BATCH, -1))
            roles += letter
        assert_measured(rows[row], tensor, roles)


@pytest.mark.parametrize("name", CASES)
def test_what_a_user_reads(name, tmp_path, monkeypatch):
    """From a configuration, in train mode: a table, a file, and why theory ends."""
    monkeypatch.chdir(tmp_path)
    config, inputs, _ = CASES[name]
    config.save_pretrained(tmp_path / name)
    run = snstat.trace(f"hf:{name}", inputs, trials=2, batch=BATCH)
    assert run.module.nonfinite is None
    reason = {
        "vit": "it depends on other values than those of the input",  # the token of the class
        "swin": "what it hides, or adds to scores, is not known",  # biases of relative positions
        "gpt2": "scaled_dot_product_attention: tokens are not alike",  # behind a causal one
        "bert": "row 0 of its weights is 0, as that of padding is",
        "convnext": None,
    }.get(name, "pow has no theory")  # a norm that is written out
    if reason is None:
        assert run.module.theory_ends == ()
        for row in (
            "embeddings.patch_embeddings",
            "encoder.stages.0.layers.0.pwconv2",
            "layernorm",
        ):
            assert run[row].second_moment.theory is not None
    else:
        (end,) = run.module.theory_ends
        assert end.reason.endswith(reason)
        assert end.reason in " ".join(repr(run).split())
    snstat.save(run, "run.json")
    assert snstat.load("run.json") == run
    model = built(name).train()
    with untouched(model):
        trace(model, inputs, trials=1, batch=BATCH)
