"""Sweeps as Parquet: the same table as CSV, after interruptions too."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest

import snstat
from snstat.errors import InputFileError, SnstatError
from tests.robustness.processes import call
from tests.sweeps.grids import AXES, SMALL, times

pq = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.peers


def swept(path, axes=AXES, **options):
    ran = []
    found = snstat.sweep(
        "relu", axes, output=path, progress=lambda p: ran.append(p.done), **{**SMALL, **options}
    )
    return found, max(ran, default=0)


def same(mine, other):
    assert mine.over == other.over
    assert list(mine.columns) == list(other.columns)
    for name in mine.columns:
        left, right = mine[name], other[name]
        if {left.dtype, right.dtype} == {np.dtype(float)}:
            np.testing.assert_array_equal(left, right, err_msg=name)
        else:
            assert [str(value) for value in left] == [str(value) for value in right], name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "whole.parquet"
    return path, swept(path)[0]


def test_it_is_the_table_of_csv(tmp_path, whole):
    other, _ = swept(tmp_path / "out.csv")
    same(whole[1], other)
    assert [entry.name for entry in whole[0].parent.iterdir()] == ["whole.parquet"]
    schema = pq.read_schema(whole[0])
    assert str(schema.field("width").type) == "uint64"
    assert str(schema.field("mean_estimate").type) == "double"
    assert str(schema.field("backward").type) == "bool"


def test_it_goes_on_from_its_parts(tmp_path, whole, monkeypatch):
    """As after a kill: some parts are there, and an unfinished one."""
    monkeypatch.setattr("snstat.sweeps.sweeping.FLUSH_CELLS", 2)
    path = tmp_path / "out.parquet"
    from snstat.sweeps.parquet_store import ParquetStore

    with monkeypatch.context() as patch:
        patch.setattr(ParquetStore, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            swept(path, threads=1)
    parts = sorted((tmp_path / "out.parquet.parts").iterdir())
    assert len(parts) == 4
    parts[-1].unlink()
    (tmp_path / "out.parquet.parts" / ".part-000003.parquet.x.part").write_bytes(b"PAR1")
    found, ran = swept(path)
    assert ran == 2
    same(found, whole[1])
    assert path.read_bytes() == whole[0].read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.parquet"]
    assert swept(path)[1] == 0


def test_failed_cells_are_tried_again(tmp_path, whole, monkeypatch):
    from snstat.sweeps.running import Running

    path, plain = tmp_path / "out.parquet", Running.outcome

    def outcome(self):
        if self.cell.options["seed"] == 1:
            raise SnstatError("a poison")
        return plain(self)

    with monkeypatch.context() as patch:
        patch.setattr(Running, "outcome", outcome)
        found, _ = swept(path)
    assert found.failed.sum() == 4
    assert all(math.isnan(value) for value in found["layer"][found.failed])
    found, ran = swept(path)
    assert ran == 4
    same(found, whole[1])


NET = """
input = { channels = 8 }
parameters = { scale = 1 }
layers = [{ kind = "residual", scale = "=scale", layers = [{ kind = "dense", width = 8 }] }]
"""
KINDS = [2, "a\tb", True, 0.5, 2**70, -1, 10**400]


@pytest.mark.parametrize("values", [KINDS, [1, 2.5], [1, -1], [1, 2**70, 0.5], [2, True, False]])
@pytest.mark.parametrize("flushed", [1, 64])
def test_values_of_any_kind(tmp_path, monkeypatch, values, flushed):
    """Parts and whole files hold each kind by itself, or several, and the table is that of CSV."""
    monkeypatch.setattr("snstat.sweeps.sweeping.FLUSH_CELLS", flushed)
    net, path = tmp_path / "net.toml", tmp_path / "out.parquet"
    net.write_text(NET)
    options = {"batch": 4, "trials": 1, "threads": 1}
    snstat.sweep(net, {"scale": values[:1]}, output=path, **options)
    mine = snstat.sweep(net, {"scale": values}, output=path, **options)
    other = snstat.sweep(net, {"scale": values}, output=tmp_path / "out.csv", **options)
    assert mine.last.sum() == len(values)
    if mine["scale"].dtype == object:  # lines of CSV have no control characters
        mine["scale"][:] = [text.replace("\t", "\\t") for text in mine["scale"]]
    same(mine, other)


def test_a_dry_run_writes_nothing(tmp_path, whole, capsysbinary):
    path, parts = tmp_path / "out.parquet", tmp_path / "out.parquet.parts"
    shutil.copy(whole[0], path)
    parts.mkdir()
    shutil.copy(whole[0], parts / "part-000000.parquet")
    (parts / ".part-000001.parquet.x.part").write_bytes(b"PAR1")
    before = times(tmp_path)
    asked = ("-a", "relu", "-d", "3", "-b", "4", "-t", "2", "--backward", "--dry-run", "-o", path)
    asked += ("--over", "width=8,16,32", "--over", "weight-gain=1,1.5", "--seeds", "2")
    code, out, err = call(capsysbinary, "sweep", *map(str, asked))
    assert (code, err) == (0, "")
    assert out.decode().startswith("12 cells, 8 of them done: ")
    assert times(tmp_path) == before


def test_an_edited_grid_and_other_sweeps(tmp_path, whole):
    path = tmp_path / "out.parquet"
    shutil.copy(whole[0], path)
    found, ran = swept(path, {**AXES, "width": [16, 32]})
    assert ran == 4
    assert found["width"][::4].tolist() == [16.0] * 4 + [32.0] * 4 + [8.0] * 4
    path.write_bytes(b"PAR1 and nothing else")
    for read in (lambda: swept(path), lambda: snstat.load_sweep(path)):
        with pytest.raises(InputFileError, match=r"not a table|cannot be read"):
            read()
    pq.write_table(pq.read_table(whole[0]).replace_schema_metadata({}), path)
    with pytest.raises(InputFileError, match="not a table of a sweep"):
        swept(path)
