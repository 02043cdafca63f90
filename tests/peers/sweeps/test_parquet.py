"""Sweeps as Parquet: the same table as CSV, after interruptions too."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest

import snstat
from snstat.errors import InputFileError, SnstatError
from tests.sweeps.grids import AXES, SMALL

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
