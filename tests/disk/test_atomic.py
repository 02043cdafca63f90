"""Output files are written completely or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from snstat.disk.atomic import whole_file
from snstat.errors import OutputFileError


def test_a_file_appears_at_the_end_with_ordinary_permissions(tmp_path):
    path = tmp_path / "out.txt"
    with whole_file(path) as file:
        file.write("é\n")
        assert not path.exists()
    assert path.read_bytes() == "é\n".encode()
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("before")

    def fail():
        with whole_file(path) as file:
            file.write("after")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_keeps_its_permissions_and_a_link_stays_a_link(tmp_path):
    path, link = tmp_path / "out.txt", tmp_path / "link"
    path.write_text("before")
    path.chmod(0o640)
    link.symlink_to(path)
    with whole_file(link, binary=True) as file:
        file.write(b"after")
    assert link.is_symlink()
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_special_files_are_written_directly():
    with whole_file(os.devnull) as file:
        file.write("gone")


def test_unwritable_paths_fail_before_the_block(tmp_path):
    for path, words in (
        (tmp_path, "directory"),
        (tmp_path / "no" / "file", "folder does not exist; make"),
    ):
        with pytest.raises(OutputFileError, match=words), whole_file(path):
            pytest.fail("the block must not run")


def test_an_empty_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputFileError, match="'': the name is empty"), whole_file(""):
        pytest.fail("the block must not run")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_output_error(tmp_path):
    path = tmp_path / "out.txt"
    with pytest.raises(OutputFileError, match="No space"), whole_file(path):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [OSError("libllvmlite.so: cannot open shared object file"), OSError(12, "No memory")]
)
def test_errors_that_are_not_of_writing_pass(tmp_path, error):
    """A library loaded within the block fails without a number, and lack of memory is no fault of
    the file."""
    for path in (tmp_path / "out.txt", os.devnull):
        with pytest.raises(OSError) as raised, whole_file(path):  # noqa: PT011  # the same object
            raise error
        assert raised.value is error
    assert list(tmp_path.iterdir()) == []
