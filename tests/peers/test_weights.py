"""Weights as PyTorch and ONNX save them are read as they are, and attacks on them are refused."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

import snstat
from snstat.cli import run
from snstat.sources.weights.opening import open_weights
from tests.peak import run_alone
from tests.sources.attacked import assert_cheap

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")
nn = torch.nn

CANARY = "PWNED"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


def values_of(path):
    return {t.name: t.format.widen(t.read()) for t in open_weights(path) if t.read is not None}


def model():
    return nn.Sequential(nn.Linear(30, 40), nn.SELU(), nn.BatchNorm1d(40), nn.Linear(40, 7))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_state_dicts_hold_what_was_saved(dtype, legacy):
    state = {
        key: value.to(getattr(torch, dtype)) if value.is_floating_point() else value
        for key, value in model().state_dict().items()
    }
    torch.save(state, "m.bin", _use_new_zipfile_serialization=not legacy)
    found = values_of("m.bin")
    assert list(found) == [key for key, value in state.items() if value.is_floating_point()]
    for name, values in found.items():
        assert np.array_equal(values, state[name].double().numpy())
    told = snstat.weights("m.bin")
    assert [tensor.dtype for tensor in told.tensors] == [dtype, dtype]
    assert ("2.num_batches_tracked", "int64") in [(s.name, s.reason) for s in told.skipped]


def test_checkpoints_are_searched_for_tensors():
    net = model()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(5, 30)).sum().backward()
    optimizer.step()
    whole = {"epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(whole, "c.ckpt")
    found = values_of("c.ckpt")
    assert np.array_equal(found["model.0.weight"], net[0].weight.detach().numpy())
    assert all(name.startswith("model.") for name in found)


def test_averages_of_gradients_are_no_weights():
    """Those of tokens that never came are rows of 0, and of no initialiser."""
    net = nn.Sequential(nn.Embedding(20, 8), nn.Linear(8, 8))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.arange(12)).sum().backward()
    optimizer.step()
    states = {"state_dict": net.state_dict(), "optimizer_states": [optimizer.state_dict()]}
    torch.save(states, "c.ckpt")
    told = snstat.weights("c.ckpt")
    assert [tensor.name for tensor in told.tensors] == [
        "state_dict.0.weight",
        "state_dict.1.weight",
    ]
    left = {entry.name: entry.reason for entry in told.skipped}
    assert left["optimizer_states.0.state.0.exp_avg"] == "state of an optimiser"
    assert run(["check", "c.ckpt"]) == 0


@pytest.mark.parametrize(
    "dtype", ["float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "uint16"]
)
def test_types_that_are_not_judged_are_no_reason_to_refuse_a_file(dtype):
    kind = getattr(torch, dtype)
    torch.save({"w": torch.randn(6, 8), "q": torch.ones(6, 8).to(kind)}, "w.pt")
    told = snstat.weights("w.pt")
    assert [tensor.name for tensor in told.tensors] == ["w"]
    assert [(entry.name, entry.reason) for entry in told.skipped] == [("q", dtype)]


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "bfloat16"])
def test_short_types_have_the_values_of_pytorch(dtype):
    kind = getattr(torch, dtype)
    codes = torch.arange(256 if "8" in dtype[:6] else 65536)
    raw = codes.to(torch.uint8) if dtype.startswith("float8") else codes.to(torch.int16)
    tensor = raw.view(kind).reshape(2, -1)
    torch.save({"w": tensor}, "w.pt")
    assert np.array_equal(values_of("w.pt")["w"], tensor.float().numpy(), equal_nan=True)


def test_tied_and_strided_tensors_are_read():
    base = torch.randn(6, 8)
    torch.save({"a": base, "b": base.T, "c": base[:, ::2], "p": nn.Parameter(base)}, "w.pt")
    found = values_of("w.pt")
    assert np.array_equal(found["b"], base.T.numpy())
    assert np.array_equal(found["c"], base[:, ::2].numpy())


def test_odd_tensors_are_named():
    odd = {
        "sparse": torch.eye(3).to_sparse(),
        "complex": torch.ones(2, 2, dtype=torch.complex64),
        "meta": torch.empty(3, 3, device="meta"),
    }
    torch.save(odd, "w.pt")
    told = {entry.name: entry.reason for entry in snstat.weights("w.pt").skipped}
    assert set(told) == set(odd)


class Evil:
    def __reduce__(self):
        return (open, (CANARY, "w"))


def refused(path, capsys, words=""):
    assert run(["weights", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert words in line
    assert not os.path.exists(CANARY)  # noqa: PTH110


@pytest.mark.parametrize("legacy", [False, True])
def test_more_than_weights_is_refused(legacy, capsys):
    for value, words in ((Evil(), "io.open"), (nn.Linear(2, 2), "torch.nn.modules.linear.Linear")):
        torch.save({"w": value}, "m.pt", _use_new_zipfile_serialization=not legacy)
        refused("m.pt", capsys, f"holds more than weights ({words})")


def test_claims_beyond_what_is_stored_are_refused(capsys):
    """A stride of 0 makes 10¹² values of one."""
    torch.save({"w": torch.ones(1).expand(10**6, 10**6)}, "bomb.pt")
    assert os.path.getsize("bomb.pt") < 10_000  # noqa: PTH202
    refused("bomb.pt", capsys, "claims 'w' of shape (1000000, 1000000) with 4 stored bytes")


def test_damaged_files_are_refused(capsys):
    torch.save(model().state_dict(), "m.pt")
    data = Path("m.pt").read_bytes()
    rng = np.random.default_rng(0)
    for number in range(60):
        bytes_ = bytearray(data)
        if number % 2:
            bytes_ = bytes_[: rng.integers(1, len(data))]
        else:
            for place in rng.integers(0, len(data), 8):
                bytes_[place] = rng.integers(0, 256)
        Path("d.pt").write_bytes(bytes_)
        code = run(["weights", "d.pt"])
        out, err = capsys.readouterr()
        assert code in (0, 2)
        assert code == 0 or (out == "" and len(err.splitlines()) == 1)


def test_little_memory_is_taken_for_a_bomb():
    """A stride of 0 in a process of its own: PyTorch itself takes most of it."""
    torch.save({"w": torch.ones(1).expand(10**6, 10**6)}, "bomb.pt")
    program = (
        "import resource, sys\nfrom snstat.cli import run\nimport torch\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "code = run(['weights', 'bomb.pt'])\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "sys.exit(code if after - before < 300_000 else 99)"
    )
    assert run_alone("-c", program, timeout=120).returncode == 2


def test_attacks_take_little_time_and_memory(tmp_path):
    """PyTorch itself is imported before."""
    bomb = {"w": torch.ones(1).expand(10**6, 10**6)}
    for name, value in (("bomb", bomb), ("evil", {"w": Evil()}), ("module", nn.Linear(2, 2))):
        torch.save(value, f"{name}.pt")
        torch.save(value, f"{name}.bin", _use_new_zipfile_serialization=False)
    files = sorted(entry.name for entry in tmp_path.iterdir())
    assert_cheap(tmp_path, files, "torch snstat.sources.weights.state_dict")


def filled(shape, how, *arguments, **options):
    tensor = torch.empty(*shape)
    getattr(nn.init, how)(tensor, *arguments, **options)
    return tensor


INITS = {
    "torch_default": lambda: nn.Linear(200, 150).weight,
    "torch_default conv": lambda: nn.Conv2d(20, 30, 3).weight,
    "lecun_normal": lambda: filled((150, 200), "kaiming_normal_", nonlinearity="linear"),
    "he_normal": lambda: filled((150, 200), "kaiming_normal_"),
    "he_uniform": lambda: filled((40, 20, 3, 3), "kaiming_uniform_"),
    "he_normal(mode=fan_out)": lambda: filled((40, 20, 3, 3), "kaiming_normal_", mode="fan_out"),
    "he_normal(gain=3/4)": lambda: filled((150, 200), "kaiming_normal_", nonlinearity="selu"),
    "glorot_normal": lambda: filled((150, 200), "xavier_normal_"),
    "glorot_uniform": lambda: filled((150, 200), "xavier_uniform_"),
    "glorot_uniform(gain=1.414)": lambda: filled((150, 200), "xavier_uniform_", math.sqrt(2)),
    "glorot_uniform(gain=5/3)": lambda: filled((150, 200), "xavier_uniform_", 5 / 3),
    "normal(std=0.02)": lambda: filled((150, 200), "trunc_normal_", std=0.02),
    "normal(std=1)": lambda: nn.Embedding(300, 50).weight,
    "lecun_truncated_uncorrected": lambda: filled(
        (150, 200), "trunc_normal_", std=200**-0.5, a=-2 * 200**-0.5, b=2 * 200**-0.5
    ),
    "orthogonal": lambda: filled((150, 200), "orthogonal_"),
    "orthogonal(gain=1.414)": lambda: filled((200, 150), "orthogonal_", math.sqrt(2)),
    "zeros": lambda: filled((20, 10), "zeros_"),
    "ones": lambda: filled((20, 10), "ones_"),
}


@pytest.mark.parametrize("name", INITS)
def test_initialisers_of_pytorch_are_named(name):
    (tensor,) = snstat.weights({"w": INITS[name]()}).tensors
    assert name.partition(" ")[0] in [scheme.name for scheme in tensor.schemes]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (lambda: nn.LSTM(300, 128), {"weight_ih_l0": "(hidden=128)", "weight_hh_l0": ""}),
        (lambda: nn.GRU(64, 256, bidirectional=True),
         {"weight_ih_l0": "(hidden=256)", "weight_hh_l0": "",
          "weight_ih_l0_reverse": "(hidden=256)", "weight_hh_l0_reverse": ""}),
        (lambda: nn.RNN(100, 200), {"weight_ih_l0": "(hidden=200)", "weight_hh_l0": ""}),
        (lambda: nn.LSTM(50, 100, proj_size=30),
         {"weight_ih_l0": "(hidden=100)", "weight_hh_l0": "(hidden=100)", "weight_hr_l0": ""}),
        (lambda: nn.LSTMCell(64, 96), {"weight_ih": "(hidden=96)", "weight_hh": ""}),
        (lambda: nn.Bilinear(40, 70, 60), {"weight": "(in1=40)"}),
    ],
    ids=["LSTM", "GRU", "RNN", "projected", "LSTMCell", "Bilinear"],
)  # fmt: skip
def test_defaults_of_pytorch_that_are_not_by_fan_in(module, expected, tmp_path):
    """Five draws each: all are named, since chance refuses one in 16,000."""
    for seed in range(5):
        torch.manual_seed(seed)
        state = module().state_dict()
        found = {tensor.name: tensor for tensor in snstat.weights(state).tensors}
        assert found.keys() == expected.keys()
        for name, size in expected.items():
            assert f"torch_default{size}" in [scheme.name for scheme in found[name].schemes]
    torch.save(state, tmp_path / "m.pt")
    for init, code in (("torch_default", 0), ("he_uniform", 1)):
        line = ["check", str(tmp_path / "m.pt"), "--init", init, "--select", "SN604"]
        assert run(line) == code


def test_only_recurrent_modules_go_by_hidden_units():
    torch.manual_seed(0)
    state = {"a.weight_ih": nn.LSTM(300, 128).weight_ih_l0, "b": nn.LSTM(300, 128).weight_ih_l0}
    one, other = snstat.weights({key: value.detach() for key, value in state.items()}).tensors
    assert [scheme.name for scheme in one.schemes] == ["torch_default(hidden=128)"]
    assert other.schemes == ()


def test_sparse_initialisation_has_no_name():
    assert snstat.weights(filled((200, 200), "sparse_", 0.5, 0.05)).tensors[0].schemes == ()


def test_a_state_dict_in_memory_is_read_as_its_file():
    net = model()
    torch.save(net.state_dict(), "m.pt")
    assert snstat.weights(net.state_dict()).tensors == snstat.weights("m.pt").tensors


def test_onnx_initialisers_are_read(tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    dense, gemm = (rng.standard_normal((30, 40)).astype(np.float32) for _ in range(2))
    far = numpy_helper.from_array(dense, "far")
    (tmp_path / "far.bin").write_bytes(dense.tobytes())

    def outside(location, length=dense.nbytes):
        tensor = TensorProto()
        tensor.CopyFrom(far)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("length", str(length)), ("offset", "0")):
            tensor.external_data.add(key=key, value=value)
        return tensor

    def save(tensor):
        nodes = [
            helper.make_node("MatMul", ["x", "dense"], ["y"]),
            helper.make_node("Gemm", ["y", "gemm"], ["z"], transB=1),
        ]
        arrays = [numpy_helper.from_array(dense, "dense"), numpy_helper.from_array(gemm, "gemm")]
        graph = helper.make_graph(nodes, "g", [], [], [*arrays, tensor])
        onnx.save(helper.make_model(graph), "m.onnx")

    save(outside("far.bin"))
    found = snstat.weights("m.onnx")
    assert [(t.name, t.layout, t.fan_in) for t in found.tensors] == [
        ("dense", "jax", 30),
        ("gemm", "torch", 40),
        ("far", "torch", 40),
    ]
    assert np.array_equal(values_of("m.onnx")["far"], dense)
    (tmp_path.parent / "secret.bin").write_bytes(dense.tobytes())
    (tmp_path / "link.bin").symlink_to(tmp_path.parent / "secret.bin")
    for tensor, words in (
        (outside("../secret.bin"), "outside its folder"),
        (outside("/etc/passwd"), "outside its folder"),
        (outside("link.bin"), "outside its folder"),
        (outside(""), "outside its folder"),
        (outside("missing.bin"), "no such file"),
        (outside("far.bin", 7), "claims"),
    ):
        save(tensor)
        refused("m.onnx", capsys, words)
    (tmp_path / "m.onnx").write_bytes(b"\xff" * 99)
    refused("m.onnx", capsys)
