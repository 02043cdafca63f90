"""Models of timm and transformers as targets, where these packages are others or missing."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from torch import nn

from snstat import cli
from snstat.errors import InputFileError, InvalidValueError, SnstatError
from snstat.sources.torch import hubs
from tests.peers.trace.tracing import trace

pytestmark = pytest.mark.peers


class Model(nn.Linear):
    """A model as timm has them: it says its input."""

    def __init__(self, width):
        super().__init__(width, width)
        self.default_cfg = {"input_size": (2, width)}


@pytest.fixture
def timm(monkeypatch):
    found, calls = ModuleType("timm"), []

    def create_model(name, **settings):
        calls.append((name, settings, os.environ["HF_HUB_OFFLINE"]))
        return Model(settings.get("width", 5))

    found.__spec__, found.create_model = ModuleSpec("timm", None), create_model
    monkeypatch.setitem(sys.modules, "timm", found)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    return calls


def test_a_model_of_timm_is_built_without_weights_and_offline(timm):
    rows = trace("timm:resnet18.a1_in1k", settings={"width": 6}, trials=2)
    assert timm == [("resnet18.a1_in1k", {"pretrained": False, "width": 6}, "1")] * 2
    assert (rows.summary.target, rows.summary.trials_of) == ("timm:resnet18.a1_in1k", "model")
    assert rows.summary.inputs == {"input": "Bx2x6"}
    assert os.environ["HF_HUB_OFFLINE"] == "0"


def test_names_that_timm_would_download_are_refused(timm):
    for name in ("timm:hf-hub:timm/resnet18", "timm:local-dir:x", "timm:a/b"):
        with pytest.raises(InvalidValueError, match="the name of a model of timm"):
            trace(name, ["Bx2"])
    with pytest.raises(SnstatError, match="nothing is downloaded"):
        trace("timm:resnet18", settings={"pretrained": True})
    assert timm == []


def test_a_missing_package_is_named_in_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(hubs, "find_spec", lambda _name: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    for target, package in (("timm:resnet18", "timm"), ("hf:config.json", "transformers")):
        assert cli.run(["trace", target]) == 2
        error = capsys.readouterr().err
        assert error.endswith(f"tracing {target} needs {package}: pip install {package}\n")
    with pytest.raises(InputFileError, match="no such file"):
        trace("hf:gpt2")


def test_the_arguments_that_are_needed_are_those_that_are_asked_for():
    class Many(nn.Module):
        def forward(self, tokens=None, mask=None, **_others):
            return tokens, mask

    class Some(nn.Module):
        def forward(self, x, y, mask=None):
            return x + y, mask

    with pytest.raises(SnstatError, match="--input tokens=SPEC, where"):
        trace(Many)
    with pytest.raises(SnstatError, match="--input x=SPEC --input y=SPEC, where"):
        trace(Some)
    assert torch.is_grad_enabled()
