"""Weights of a file in the module that is traced, and files that do not fit it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import snstat
from snstat.errors import InputFileError, InvalidValueError, SnstatError
from snstat.report.module_words import module_sampling
from tests.peers.trace.models import Log, ResNet, Stages, TiedTokens
from tests.peers.trace.tracing import trace, untouched
from tests.sources.files import safetensors

pytestmark = pytest.mark.peers


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def floats(model):
    return {
        name: value.detach().numpy()
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }


@pytest.fixture
def trained():
    """A ResNet whose buffers and weights are no longer those of its beginning."""
    torch.manual_seed(5)
    model = ResNet()
    for _ in range(3):
        model(torch.randn(4, 3, 16, 16))
    return model


def test_all_formats_trace_as_the_module_itself(trained):
    """Equal to the last bit, in modes that use buffers and that change them."""
    torch.save(trained.state_dict(), "w.pt")
    np.savez("w.npz", **floats(trained))
    Path("w.safetensors").write_bytes(safetensors(floats(trained)))
    for mode in ("eval", "train"):
        twin = trace(trained, mode=mode)
        digests = set()
        for name in ("w.pt", "w.npz", "w.safetensors"):
            rows = trace(ResNet, mode=mode, weights=name)
            np.testing.assert_array_equal(rows.traced.values, twin.traced.values)
            np.testing.assert_array_equal(rows.traced.log_gradient, twin.traced.log_gradient)
            assert (rows.summary.weights, rows.summary.trials_of) == (name, "inputs")
            digests.add(rows.summary.weights_digest)
        assert len(digests) == 1


@pytest.mark.parametrize("prefix", ["module.", "state_dict.model."])
def test_names_may_have_a_prefix(trained, prefix):
    """Those of a module in DataParallel, and of a checkpoint of Lightning with its optimiser."""
    optimizer = torch.optim.Adam(trained.parameters())
    trained(torch.randn(4, 3, 16, 16)).sum().backward()
    optimizer.step()
    outer, _, inner = prefix.rpartition(".")[0].rpartition(".")
    state = {f"{inner}.{key}": value for key, value in trained.state_dict().items()}
    whole = {"epoch": 1, outer: state, "optimizer_states": [optimizer.state_dict()]}
    torch.save(whole if outer else state, "c.ckpt")
    torch.save(trained.state_dict(), "w.pt")
    plain, rows = (trace(ResNet, mode="eval", weights=name) for name in ("w.pt", "c.ckpt"))
    np.testing.assert_array_equal(rows.traced.values, plain.traced.values)
    assert rows.summary.weights_digest == plain.summary.weights_digest
    assert f"the weights are those under '{prefix}' in c.ckpt" in rows.summary.notes


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["model", "ema"], "2 times: under 'model.' and 'ema.'; save the weights of one of them"),
        (["", "ema"], "2 times: under no prefix and 'ema.';"),
        (["a", "b", "c", "d"], "4 times: under 'a.' and 'b.' and 2 more;"),
    ],
)
def test_a_file_with_the_names_of_several_modules_is_refused(trained, names, words):
    state = trained.state_dict()
    prefixes = [f"{name}." if name else "" for name in names]
    torch.save({before + key: x for before in prefixes for key, x in state.items()}, "w.pt")
    with pytest.raises(InputFileError) as told:
        trace(ResNet, weights="w.pt")
    assert words in str(told.value)


def test_what_is_left_as_it_was_built_is_named(trained):
    torch.save(trained.state_dict(), "w.pt")
    (note,) = trace(ResNet, trials=1, weights="w.pt").summary.notes
    assert note == (
        "'bn1.num_batches_tracked', 'layer1.0.bn1.num_batches_tracked',"
        " 'layer1.0.bn2.num_batches_tracked' and 5 more of w.pt are no floating numbers, and stay"
        " as built"
    )


def test_digests_tell_values_names_and_types(trained):
    states = [floats(trained) for _ in range(3)]
    states[1]["fc.bias"] = states[1]["fc.bias"] + np.float32(1)
    states[2] = {name: value.astype(np.float64) for name, value in states[2].items()}
    digests = []
    for state in states:
        np.savez("w.npz", **state)
        digests.append(trace(ResNet, trials=1, weights="w.npz").summary.weights_digest)
    assert len(set(digests)) == 3
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in digests)


def test_bfloat16_is_widened_exactly(trained):
    state = {name: torch.from_numpy(value).bfloat16() for name, value in floats(trained).items()}
    torch.save(state, "w.pt")
    twin = copy.deepcopy(trained)
    twin.load_state_dict(state, strict=False)
    rows = trace(ResNet, weights="w.pt", mode="eval")
    np.testing.assert_array_equal(rows.traced.values, trace(twin, mode="eval").traced.values)


def test_a_module_of_the_user_keeps_its_weights(trained):
    np.savez("w.npz", **floats(trained))
    model = ResNet()
    with untouched(model):
        rows = trace(model, weights="w.npz", dtype="float64")
    assert rows.call("fc").dtype == "float64"
    twin = trace(trained, dtype="float64")
    np.testing.assert_array_equal(rows.traced.values, twin.traced.values)


def test_trials_differ_in_inputs_only():
    """Dropout and the replay that finds a value which is not finite draw as without weights."""

    def model():
        return Stages(nn.Sequential(nn.Dropout(0.5), Log()))

    torch.manual_seed(1)
    own = model()
    np.savez("w.npz", **floats(own))
    rows, twin = trace(model, ["Bx8"], weights="w.npz"), trace(own, ["Bx8"])
    np.testing.assert_array_equal(rows.traced.values, twin.traced.values)
    assert rows.summary.nonfinite == twin.summary.nonfinite


def test_one_name_is_enough_for_a_tied_weight():
    weight = np.random.default_rng(0).standard_normal((11, 8)).astype(np.float32)
    for name in ("tokens.weight", "head.weight"):
        np.savez("w.npz", **{name: weight})
        rows = trace(TiedTokens, ["tokens:11:Bx5"], trials=1, weights="w.npz")
        assert rows["tokens"]["second_moment"][0] == pytest.approx(1, abs=0.5)  # σ ≈ 0.2 of 40 rows


def save_other(change):
    state = floats(ResNet())
    change(state)
    np.savez("w.npz", **state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("fc.bias"), r"w\.npz: lacks 'fc\.bias'; save model\.state_dict\(\)"),
        (lambda s: s.update(a=np.ones(3)), r"w\.npz: holds unexpected 'a'; save"),
        (
            lambda s: s.update({f"x{name}": s.pop(name) for name in [*s]}),
            r"lacks 'conv1\.weight', 'bn1\.weight', 'bn1\.bias' and \d+ more and holds unexp",
        ),
        (
            lambda s: s.update({"fc.weight": s["fc.weight"].T}),
            r"holds 'fc\.weight' of shape 16×10, where the module has 10×16;",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused_in_one_line(change, words):
    save_other(change)
    with pytest.raises(InputFileError, match=words) as raised:
        trace(ResNet, weights="w.npz")
    assert "\n" not in str(raised.value)


def test_lazy_modules_and_files_of_more_than_weights_are_refused():
    np.savez("w.npz", **{"0.weight": np.ones((8, 5)), "0.bias": np.ones(8)})
    with pytest.raises(InputFileError, match="build it with all shapes given"):
        trace(lambda: nn.Sequential(nn.LazyLinear(8)), ["Bx5"], weights="w.npz")
    torch.save(nn.Linear(2, 2), "w.pt")
    with pytest.raises(InputFileError, match="holds more than weights"):
        trace(lambda: nn.Linear(2, 2), ["Bx2"], weights="w.pt")
    with pytest.raises(SnstatError, match="no such file"):
        trace(lambda: nn.Linear(2, 2), ["Bx2"], weights="none.npz")


def test_the_record_says_the_file_and_its_content(trained):
    np.savez("w.npz", **floats(trained))
    run = snstat.trace(ResNet, weights=Path("w.npz"), trials=1)
    snstat.save(run, "run.json")
    module = snstat.load("run.json").module
    assert (module.weights, module.trials_of) == ("w.npz", "inputs")
    assert module.weights_digest == run.module.weights_digest
    text = module_sampling(module, run.simulation)
    assert "(new inputs each)" in text
    assert text.endswith("weights w.npz")


def test_the_largest_tensor_is_bounded(trained):
    np.savez("w.npz", **floats(trained))
    largest = max(array.nbytes for array in floats(trained).values())
    snstat.trace(ResNet, weights="w.npz", max_bytes=largest, trials=1)
    with pytest.raises(InputFileError, match=f"but at most {largest - 1:,} are read"):
        snstat.trace(ResNet, weights="w.npz", max_bytes=largest - 1, trials=1)
    with pytest.raises(InvalidValueError, match="max_bytes is 5, but must be left out without"):
        snstat.trace(ResNet, max_bytes=5, trials=1)
