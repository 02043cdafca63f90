"""The file of a sweep after interruptions of any kind, damage, and other sweeps."""

from __future__ import annotations

import os

import pytest

import snstat
from snstat.errors import InputFileError, OutputFileError, SnstatError
from snstat.sweeps.cell import VERSION
from snstat.sweeps.lock import locked
from tests.sweeps.grids import AXES, SMALL

pytestmark = pytest.mark.usefixtures("_no_fsync")


@pytest.fixture
def _no_fsync(monkeypatch):
    """Disks of test machines are slow, and nothing here ends a process."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def swept(path, axes=AXES, **options):
    """Run the sweep of these tests; return its file."""
    ran = []
    snstat.sweep(
        "relu", axes, output=path, progress=lambda p: ran.append(p.done), **{**SMALL, **options}
    )
    return path.read_bytes(), max(ran, default=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the file of an uninterrupted sweep."""
    path = tmp_path_factory.mktemp("sweep") / "whole.csv"
    snstat.sweep("relu", AXES, output=path, **SMALL)
    return path.read_bytes()


def test_the_file_does_not_depend_on_threads(tmp_path, whole):
    for threads in (1, 3):
        assert swept(tmp_path / f"{threads}.csv", threads=threads) == (whole, 8)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.csv", "3.csv"]


def test_a_finished_sweep_runs_nothing(tmp_path, whole):
    path = tmp_path / "out.csv"
    path.write_bytes(whole)
    assert swept(path) == (whole, 0)


def test_a_file_that_ends_anywhere_goes_on_to_the_same_file(tmp_path, whole):
    """Ends within a line, between the lines of a cell, and between cells."""
    path, ends = tmp_path / "out.csv", [at for at, byte in enumerate(whole) if byte == 10]
    header, cell = ends[0] + 1, 4  # lines of a cell
    places = [0, header, header + 5, ends[1] + 1, ends[3], ends[3] + 1, ends[cell], ends[cell] + 1]
    places += [ends[2 * cell] + 1, len(whole) - 1, len(whole) - 2]
    for place in places:
        path.write_bytes(whole[:place])
        found, ran = swept(path)
        assert found == whole, place
        complete = sum(end < place for end in ends[cell::cell])
        assert ran == 8 - complete, place


def test_a_cell_that_failed_is_tried_again(tmp_path, whole, monkeypatch):
    path = tmp_path / "out.csv"
    with monkeypatch.context() as patch:
        from snstat.sweeps.running import Running

        plain = Running.outcome

        def outcome(self):
            if self.cell.options["seed"] == 1 and self.cell.options["width"] == 8:
                raise SnstatError("needs, of all things, more memory")
            return plain(self)

        patch.setattr(Running, "outcome", outcome)
        found = snstat.sweep("relu", AXES, output=path, **SMALL)
    assert found.failed.sum() == 2
    assert set(found["error"][found.failed]) == {"needs, of all things, more memory"}
    assert found.last.sum() == 8
    assert swept(path) == (whole, 2)


def test_an_edited_grid_runs_what_is_new_and_keeps_the_rest(tmp_path, whole):
    path = tmp_path / "out.csv"
    path.write_bytes(whole)
    found, ran = swept(path, {**AXES, "width": [16, 32]})
    assert ran == 4
    lines = found.splitlines()
    # The cells of the grid come first, those that left it after them.
    assert set(whole.splitlines()) <= set(lines)
    assert [line.split(b",")[3] for line in lines[1::4]] == [b"16"] * 4 + [b"32"] * 4 + [b"8"] * 4


def test_other_files_are_refused_and_stay(tmp_path, whole):
    path = tmp_path / "out.csv"
    net = tmp_path / "net.toml"
    net.write_text('input = { channels = 8 }\nlayers = [{ kind = "dense", width = 8 }]\n')
    for content, complaint in (
        (b"a,b\n1,2\n", "is not a table of a sweep"),
        (whole.replace(f"{VERSION}-".encode(), b"9.7-"), r"cells of snstat 9\.7, and this is"),
        (whole.replace(b",width,", b",breadth,"), "other columns \\(breadth, width\\)"),
    ):
        path.write_bytes(content)
        with pytest.raises((InputFileError, OutputFileError), match=complaint):
            swept(path)
        assert path.read_bytes() == content
    path.write_bytes(whole)
    with pytest.raises(InputFileError, match="other columns"):
        snstat.sweep(net, {"seed": [0]}, output=path, trials=1, batch=4)


def test_one_writer_at_a_time(tmp_path, whole):
    path = tmp_path / "out.csv"
    path.write_bytes(whole[:-200])
    with locked(str(path)), pytest.raises(OutputFileError, match="another sweep writes to it"):
        swept(path)
    assert path.read_bytes() == whole[:-200]
    assert swept(path)[0] == whole


def test_a_full_disk_leaves_whole_cells(tmp_path, whole, monkeypatch):
    path = tmp_path / "out.csv"
    monkeypatch.setattr("snstat.sweeps.sweeping.FLUSH_CELLS", 1)
    from snstat.sweeps.csv_store import CsvStore

    plain, written = CsvStore.write, []

    class Full:
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, view):
            if len(view) > 300:
                return self.file.write(view[:300])
            raise OSError(28, "No space left on device")

    def write(self, outcomes):
        if len(written) == 2:
            self._file = Full(self._file)
        written.append(len(outcomes))
        plain(self, outcomes)

    with monkeypatch.context() as patch:
        patch.setattr(CsvStore, "write", write)
        with pytest.raises(OutputFileError, match="No space left"):
            swept(path, threads=1)
    assert len(path.read_bytes().splitlines()) == 1 + 2 * 4
    assert swept(path) == (whole, 6)


def test_tables_are_read_back(tmp_path, whole):
    path = tmp_path / "out.csv"
    path.write_bytes(whole)
    found = snstat.load_sweep(path)
    assert found.over == ("width", "weight_gain", "seed")
    assert len(found) == 32
    assert found["width"].tolist() == [8.0] * 16 + [16.0] * 16
    some = snstat.load_sweep(path, statistics=["mean"])
    assert some["mean_estimate"].tolist() == found["mean_estimate"].tolist()
    assert "cosine_estimate" not in some.columns
    assert set(found.cells["gradient_estimate"]) == set(
        found["gradient_estimate"][found["layer"] == 0]
    )
    assert "8 cells, 32 rows" in repr(found)
    with pytest.raises(InputFileError, match="no such file"):
        snstat.load_sweep(tmp_path / "gone.csv")
    path.write_text("x\n")
    with pytest.raises(InputFileError, match="not the table"):
        snstat.load_sweep(path)


@pytest.mark.parametrize(
    ("axes", "over"),
    [
        ({"activation": ["relu", "selu"], "width": [4, 8]}, ("activation", "width")),
        ({"weight_gain": [1.0, 2.0]}, ("weight_gain",)),
        ({"init": ["he_normal", "lecun_normal"]}, ("init",)),
        ({"init": ["he_normal", "lecun_normal"], "weight_gain": [1, 2]}, ("init", "weight_gain")),
    ],
)
def test_a_table_is_over_what_follows_from_nothing_else(tmp_path, axes, over):
    """The initialiser and the gain of an activation differ with it."""
    path = tmp_path / "out.csv"
    snstat.sweep(None, axes, output=path, theory=True, depth=2)
    assert set(snstat.load_sweep(path).over) == set(over)
