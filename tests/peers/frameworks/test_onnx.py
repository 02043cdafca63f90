"""Traces of ONNX files: which nodes have rows, and which files are refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnx
from onnx import TensorProto, helper, numpy_helper

import snstat
from snstat import cli
from snstat.errors import InputFileError, SnstatError
from tests.engine import tensor_oracle
from tests.peers.frameworks.models import matrices, onnx_mlp, saved

pytestmark = pytest.mark.frameworks

X = np.random.default_rng(5).standard_normal((8, 12), np.float32)
node = helper.make_node


def names(run):
    return [row.name for row in run.module.rows]


def gelu_and_norm(path):
    """A layer norm and a GELU as exporters write them, which optimisers fuse into one node each."""
    nodes = [
        node("ReduceMean", ["x", "axes"], ["mean"], name="mean"),
        node("Sub", ["x", "mean"], ["d"], name="sub"),
        node("Pow", ["d", "two"], ["p"], name="pow"),
        node("ReduceMean", ["p", "axes"], ["v"], name="variance"),
        node("Add", ["v", "eps"], ["ve"], name="eps_added"),
        node("Sqrt", ["ve"], ["s"], name="sqrt"),
        node("Div", ["d", "s"], ["n"], name="norm"),
        node("Div", ["n", "root2"], ["g"], name="scaled"),
        node("Erf", ["g"], ["e"], name="erf"),
        node("Add", ["e", "one"], ["f"], name="one_added"),
        node("Mul", ["n", "f"], ["m"], name="product"),
        node("Mul", ["m", "half"], ["y"], name="gelu"),
    ]
    scalars = {"two": 2.0, "eps": 1e-5, "root2": math.sqrt(2.0), "one": 1.0, "half": 0.5}
    weights = {name: np.array(value, np.float32) for name, value in scalars.items()}
    return saved(path, nodes, weights | {"axes": np.array([-1], np.int64)})


def test_no_node_is_fused(tmp_path):
    run = snstat.trace(gelu_and_norm(tmp_path / "m.onnx"), inputs={"x": X}, trials=1)
    assert names(run) == [
        "mean", "sub", "pow", "variance", "eps_added", "sqrt", "norm", "scaled", "erf",
        "one_added", "product", "gelu",
    ]  # fmt: skip
    x = X.astype(np.float64)
    norm = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    gelu = norm * (1.0 + np.vectorize(math.erf)(norm / math.sqrt(2.0))) / 2.0
    for name, values in (("norm", norm), ("gelu", gelu)):
        wanted = tensor_oracle.statistics(values, "SU")
        for statistic in ("mean", "second_moment", "cosine", "variance_over_units"):
            found = getattr(run[name], statistic).estimate
            assert found == pytest.approx(wanted[statistic], rel=1e-5, abs=1e-6), (name, statistic)


def test_constants_and_shapes_have_no_rows(tmp_path):
    nodes = [
        node("Constant", [], ["c"], value=numpy_helper.from_array(np.float32(2.0))),
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Mul", ["x", "c"], ["m"]),
        node("Split", ["m"], ["left", "right"], axis=1, num_outputs=2, name="split"),
        node("Greater", ["left", "right"], ["larger"]),
        node("Where", ["larger", "left", "right"], ["w"]),
        node("Reshape", ["w", "shape"], ["y"]),
    ]
    shape = np.array([-1, 2, 3], np.int64)
    path = saved(tmp_path / "m.onnx", nodes, {"zero": np.array(0, np.int64), "shape": shape})
    run = snstat.trace(path, inputs="x=Bx12")
    assert names(run) == ["Mul_3", "split[0]", "split[1]", "Where_6", "Reshape_7"]
    assert [left.path for left in run.module.skipped] == ["Greater_5"]
    assert run.module.skipped[0].reason == "bool"
    assert run["Reshape_7"].shape == (2, 3)
    assert run.module.rows[-1].shape == ("S", 2, 3)


def test_tokens(tmp_path):
    table = np.random.default_rng(0).standard_normal((11, 6), np.float32)
    graph = helper.make_graph(
        [node("Gather", ["table", "ids"], ["y"], name="embedding")],
        "graph",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ("N", 7))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    run = snstat.trace(path, inputs="tokens:11:Bx7", batch=4, trials=200)
    row = run.module.rows[0]
    assert row.shape == ("S", 7, 6)
    # 200 · 4 · 7 rows of the table, drawn evenly.
    assert run["embedding"].mean.estimate == pytest.approx(
        table.mean(), abs=5 * 1.0 / math.sqrt(5600)
    )
    with pytest.raises(SnstatError, match="say what it is called with: --input ids=SPEC"):
        snstat.trace(path)
    with pytest.raises(SnstatError, match="input ids is 'floats', but must be tokens:N:SHAPE"):
        snstat.trace(path, inputs="ids=Bx7")


def test_inputs_of_the_declared_shape(tmp_path):
    path = onnx_mlp(tmp_path / "mlp.onnx")
    assert snstat.trace(path, trials=1).module.inputs == {"x": "Bx12"}
    with pytest.raises(SnstatError, match=r"mlp.onnx cannot be run: .* Got: 9 Expected: 12"):
        snstat.trace(path, inputs="Bx9")
    with pytest.raises(SnstatError, match="but must be an input of the file, which has x"):
        snstat.trace(path, inputs="z=Bx12")
    with pytest.raises(SnstatError, match="dtype is 'float64', but must be left out"):
        snstat.trace(path, dtype="float64")


def test_a_batch_that_the_file_fixes(tmp_path):
    nodes = [node("Relu", ["x"], ["y"], name="relu")]
    path = saved(tmp_path / "m.onnx", nodes, {}, inputs=(("x", (2, 12)),))
    run = snstat.trace(path, inputs="Bx12", batch=2)
    assert run.module.rows[0].axes.found == "kind"
    assert run.module.rows[0].shape == ("S", 12)


# ----------------------------------------------------------------------- values that are not finite


def test_the_node_that_makes_the_first_nan_is_named(tmp_path):
    nodes = [
        node("Mul", ["x", "x"], ["s"], name="square"),
        node("Log", ["x"], ["l"], name="log"),
        node("Add", ["s", "l"], ["y"], name="sum"),
    ]
    run = snstat.trace(saved(tmp_path / "m.onnx", nodes, {}), trials=2)
    found = run.module.nonfinite
    assert (found.path, found.kind, found.trial, found.inputs_finite) == ("log", "Log", 0, True)
    assert run.finite.tolist() == [True, True, False, False]


def test_a_mask_is_no_accident(tmp_path):
    mask = np.triu(np.full((12, 12), -np.inf, np.float32), 1)
    nodes = [
        node("Unsqueeze", ["x", "one"], ["row"], name="row"),
        node("Unsqueeze", ["x", "two"], ["column"], name="column"),
        node("MatMul", ["column", "row"], ["scores"], name="scores"),
        node("Add", ["scores", "mask"], ["masked"], name="masked"),
        node("Softmax", ["masked"], ["y"], name="softmax"),
    ]
    weights = {"mask": mask, "one": np.array([1], np.int64), "two": np.array([2], np.int64)}
    run = snstat.trace(saved(tmp_path / "m.onnx", nodes, weights), trials=1)
    assert run.module.nonfinite is None
    assert names(run) == ["row", "column", "scores", "softmax"]
    assert [(left.path, left.reason) for left in run.module.skipped] == [
        ("masked", "−∞, as a mask has")
    ]


# ------------------------------------------------------------------------ other files


def external(folder, location):
    """Write the network with its weights in `location`, and return the path of the model."""
    folder.mkdir()
    path = onnx_mlp(
        folder / "mlp.onnx", save_as_external_data=True, location="w.data", size_threshold=0
    )
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    onnx.save(model, path)
    return path


def test_weights_beside_the_file_are_read(tmp_path):
    whole = snstat.trace(onnx_mlp(tmp_path / "mlp.onnx"))
    apart = snstat.trace(external(tmp_path / "m", "w.data"))
    assert np.array_equal(whole.second_moment.estimate, apart.second_moment.estimate)


@pytest.mark.parametrize("location", ["../w.data", "/etc/hostname", "link.data", "../m2/../w.data"])
def test_weights_outside_the_folder_are_refused(tmp_path, location):
    path = external(tmp_path / "m", location)
    (tmp_path / "m" / "w.data").rename(tmp_path / "w.data")
    (tmp_path / "m" / "link.data").symlink_to(tmp_path / "w.data")
    with pytest.raises(InputFileError, match=r"keeps 'W0' in .*, outside its folder"):
        snstat.trace(path)


def test_data_of_a_node_in_another_file_are_refused(tmp_path):
    tensor = numpy_helper.from_array(np.ones(12, np.float32), "hidden")
    onnx.external_data_helper.set_external_data(tensor, "/etc/hostname")
    tensor.ClearField("raw_data")
    nodes = [node("Constant", [], ["c"], value=tensor), node("Add", ["x", "c"], ["y"])]
    path = saved(tmp_path / "m.onnx", nodes, {})
    with pytest.raises(InputFileError, match="keeps 'hidden', which is no initialiser, in another"):
        snstat.trace(path)


def test_operators_of_others_are_refused(tmp_path, capsys):
    path = saved(tmp_path / "m.onnx", [node("Evil", ["x"], ["y"], domain="evil")], {})
    assert cli.run(["trace", path]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert "cannot be run by onnxruntime" in printed.err


# ------------------------------------------------------------------------ commands


def test_commands_take_a_file(tmp_path, capsys):
    path = onnx_mlp(tmp_path / "mlp.onnx")
    assert cli.run(["trace", path, "--input", "x=Bx12", "--format", "json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["module"]["framework"] == "onnx"
    assert run["module"]["framework_version"].startswith(onnx.__version__)
    assert run["module"]["trials_of"] == "inputs"
    assert run["module"]["parameters"] == sum(w.size + b.size for w, b in matrices())
    assert cli.run(["check", path, "--input", "Bx12"]) == 0
    printed = capsys.readouterr().out
    assert "new inputs each" in printed
    assert "gradients were not measured\n" in printed  # there is no way to
    assert cli.run(["check", path]) == 0  # its weights
    assert "weight matrices" in capsys.readouterr().out
    assert cli.run(["plot", path, "-o", str(tmp_path / "a.svg")]) == 0
    assert (tmp_path / "a.svg").stat().st_size > 1000
    assert cli.run(["trace", path, "--set", "a=1"]) == 2
    capsys.readouterr()
    assert cli.run(["trace", path, "--no-backward"]) == 0
    assert "no gradients" not in capsys.readouterr().out


def test_a_configuration_that_nobody_named_may_hold_a_file(tmp_path, capsys, monkeypatch):
    """A file is data; a Python name is not."""
    monkeypatch.chdir(tmp_path)
    onnx_mlp(tmp_path / "mlp.onnx")
    (tmp_path / "snstat.toml").write_text('[check.a]\nmodule = "mlp.onnx"\n')
    assert cli.run(["check"]) == 0
    (tmp_path / "snstat.toml").write_text('[check.a]\nmodule = "keras:models:mlp"\n')
    assert cli.run(["check"]) == 2
    assert "names a module, which runs its code" in capsys.readouterr().err
