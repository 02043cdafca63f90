"""Small random models of transformers: what they return, and that nothing is downloaded."""

from __future__ import annotations

import json
import socket

import pytest

pytest.importorskip("transformers")

from transformers import BertConfig, GPT2Config, T5Config

import snstat
from snstat.errors import SnstatError, UserCodeError

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the package
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CONFIGS = {
    "gpt2": GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=50, n_positions=32),
    "bert": BertConfig(
        num_hidden_layers=2, hidden_size=16, num_attention_heads=2, intermediate_size=32,
        vocab_size=50, max_position_embeddings=32,
    ),
    "t5": T5Config(num_layers=2, d_model=16, d_kv=8, num_heads=2, d_ff=32, vocab_size=50),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    """A folder with the configurations, and no network."""
    monkeypatch.chdir(tmp_path)
    for name, config in CONFIGS.items():
        config.save_pretrained(tmp_path / name)

    def refuse(*_args):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize(
    ("name", "blocks", "output"),
    [
        ("gpt2", ["h.0", "h.1"], "GPT2Model.last_hidden_state"),
        ("bert", ["encoder.layer.0", "encoder.layer.1"], "BertModel.pooler_output"),
        ("t5", ["decoder.block.0.layer.2", "decoder.block.1.layer.2"], "T5Model.last_hidden_state"),
    ],
)
def test_rows_of_a_model(name, blocks, output):
    """Outputs go by their names, tokens are positions, and a folder stands for its file."""
    run = snstat.trace(f"hf:{name}/config.json", trials=2)
    names = [row.name for row in run.module.rows]
    assert run.module.nonfinite is None
    assert {*blocks, output} <= set(names)
    for block in blocks:
        axes = run.module.rows[names.index(block)].axes
        assert (axes.sample, axes.position, axes.unit) == ((0,), (1,), (2,))
        assert run[block].gradient.estimate > 0
    folder = snstat.trace(f"hf:{name}", trials=2)
    assert folder.module.rows == run.module.rows
    assert folder[blocks[-1]].second_moment == run[blocks[-1]].second_moment


def test_caches_and_what_is_not_called_are_named():
    run = snstat.trace("hf:gpt2", inputs={"input_ids": "tokens:50:Bx8"}, trials=1)
    assert "h.0.attn.attn_dropout" in run.module.not_called
    assert ("GPT2Model", "DynamicCache") in [
        (left.path, left.reason) for left in run.module.skipped
    ]
    position = next(row for row in run.module.rows if row.path == "wpe")
    assert position.axes.sample == ()
    eager = snstat.trace("hf:gpt2", set={"attn_implementation": "eager"}, trials=1)
    attention = next(row for row in eager.module.rows if row.name == "h.0.attn[1]")
    assert (attention.axes.position, attention.axes.unit) == ((1, 2), (3,))


def test_functions_of_a_model():
    run = snstat.trace("hf:gpt2", trials=1, ops=True)
    names = [row.name for row in run.module.rows]
    assert {"GPT2Model:add", "h.1.attn:scaled_dot_product_attention", "h.0:add#1"} <= set(names)
    plain = snstat.trace("hf:gpt2", trials=1)
    assert run["h.1"].second_moment == plain["h.1"].second_moment
    assert run["h.1"].gradient == plain["h.1"].gradient


def test_settings_change_the_configuration():
    run = snstat.trace("hf:gpt2", set={"n_layer": 3}, trials=1)
    assert "h.2" in [row.path for row in run.module.rows]
    with pytest.raises(SnstatError, match="has no 'layers' in its configuration"):
        snstat.trace("hf:gpt2", set={"layers": 3}, trials=1)


def test_code_of_a_configuration_is_never_run(tmp_path):
    (tmp_path / "own").mkdir()
    config = {"model_type": "own", "auto_map": {"AutoConfig": "code.Config"}}
    (tmp_path / "own" / "config.json").write_text(json.dumps(config))
    (tmp_path / "own" / "code.py").write_text("open('PWNED', 'w')\nclass Config: pass\n")
    with pytest.raises(UserCodeError):
        snstat.trace("hf:own", trials=1)
    assert not (tmp_path / "PWNED").exists()
