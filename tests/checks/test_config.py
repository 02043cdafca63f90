"""The configuration of checks: where it is found, what it declares, and which errors it may
contain."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snstat.activation.kind import ActivationName
from snstat.checks.config import (
    MAX_CHECKS,
    MAX_NAME,
    Declared,
    _upward,
    find_config,
    load_config,
    located,
)
from snstat.checks.config_keys import KEYS
from snstat.disk.toml_file import MAX_BYTES
from snstat.errors import InputFileError, InvalidValueError
from snstat.experiment.trace_settings import ModuleName, Target
from snstat.limits import MAX_TEXT
from snstat.network.run_settings import Units
from snstat.network.settings import Widths
from snstat.results import DEFAULT_NAME, Source
from snstat.values.kinds import File, Flag, Parameters, Real, Texts, Whole

NEVER = [
    "1979-05-27",
    "07:32:00",
    "[1]",
    '[["x"]]',
    "[{}]",
    "{}",
    "{ x = 1 }",
    "nan",
    "inf",
    "-inf",
]
HUGE = f"0x{'f' * 9000}"
# Values of the wrong type, by the words for the right one.
BAD = {
    "a string": ["3", "0.5", "true", "[]", *NEVER],
    "a whole number of at most 64 bits": ['"3"', "3.5", "true", "[]", str(2**64), HUGE, *NEVER],
    "a finite number": ['"3"', "false", "[]", "1e400", str(2**64), HUGE, *NEVER],
    "true or false": ["0", "1", '"true"', "[]", *NEVER],
    "a list of strings": ['"SN101"', "true", "3", '["SN1", 2]', *NEVER],
    "a file name": ["3", "true", "[]", *NEVER],
    ModuleName.words: ['"models"', '"a b:c"', "3", "true", "[]", *NEVER],
    Target.words: ['"models"', '"a b:c"', "3", "true", "[]", *NEVER],
    Parameters.words: ["3", '"a"', "true", "[]", "{a = [1]}", "{a = {b = 1}}"],
    "normal, uniform or a file name": ["3", "true", "[]", *NEVER],
    "a string such as '784,512*3,10' or a list of whole numbers": [
        "3",
        "true",
        "[3, 0.5]",
        '["3"]',
        "[true]",
        *(text for text in NEVER if text != "[1]"),
    ],
}


def good(kind):
    """Return TOML of valid values of a kind with the options that they give."""
    match kind:
        case Units():
            return {"0": None, hex(kind.high): kind.high}
        case Whole():
            low, high = kind.low, kind.high
            return {str(low): low, f"{low}.0": low, "1e0": 1, hex(high): high}
        case Real():
            return {f"{kind.low!r}": kind.low, f"{kind.high!r}": kind.high, "1": 1.0}
        case Flag():
            return {"true": True, "false": False}
        case Texts():
            return {"[]": (), '["SN1", "SN2"]': ("SN1", "SN2")}
        case Widths():
            return {'"784,512*3,10"': "784,512*3,10", "[784, 10, 1e1]": "784,10*2"}
        case File():
            return {f'"{word}"': word for word in kind.reserved} | {'"x.npy"': None}
        case Parameters():
            return {"{}": {}, "{width = 512, rate = 0.5}": {"width": 512, "rate": 0.5}}
        case ActivationName():
            return {'"selu"': "selu", "'Leaky-ReLU:0.2'": "leaky_relu:0.2"}
    return {f'"{name}"': name for name in kind.names()}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes text or bytes to a file and returns its path."""

    def writer(text, name="snstat.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writer


@pytest.fixture
def repository(tmp_path):
    """Return a folder that looks like the root of a repository, where every search ends."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def complaint(path, *, load=load_config):
    """Return the error message for the file at `path`, always one line of readable length."""
    with pytest.raises(InputFileError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1200 + len(str(path))
    return text


# Contents of a file


def test_section_without_tables_is_one_check(write):
    path = write("\n[check]\ndepth = 3\nweight-gain = 1\n")
    assert load_config(path) == [
        Declared(DEFAULT_NAME, {"depth": 3, "weight_gain": 1.0}, Source(str(path), 2))
    ]
    assert isinstance(load_config(path)[0].options["weight_gain"], float)
    path = write("[check]\ninit = 'he_truncated'\nweight-std = 0.02\n")
    assert load_config(path)[0].options == {"init": "he_truncated", "weight_std": 0.02}


def test_empty_section_is_one_check(write):
    path = write("[tool.snstat.check]", "pyproject.toml")
    assert load_config(path) == [Declared(DEFAULT_NAME, {}, Source(str(path), 1))]


@pytest.mark.parametrize(
    ("name", "section"), [("pyproject.toml", "tool.snstat.check"), ("snstat.toml", "check")]
)
def test_named_checks_override_the_defaults(write, name, section):
    path = write(
        f"""\
[{section}]
depth = 64
weight_gain = 0.5

[{section}.first]
weight-gain = 2
select = ["SN101", "SN102"]

[{section}."the second"]
depth = 3
""",
        name,
    )
    assert load_config(path) == [
        Declared(
            "first",
            {"depth": 64, "weight_gain": 2.0, "select": ("SN101", "SN102")},
            Source(str(path), 5),
        ),
        Declared("the second", {"depth": 3, "weight_gain": 0.5}, Source(str(path), 9)),
    ]


def test_files_of_other_names_hold_the_short_section(write):
    assert load_config(write("[check.a]\n", "ci.toml"))[0].name == "a"


def test_declared_checks_are_immutable(write):
    options = load_config(write("[check]\ndepth = 3\n"))[0].options
    with pytest.raises(TypeError):
        options["depth"] = 4


def test_checks_without_headers_are_at_the_section(write):
    path = write("\n[check]\ndepth = 3\na.width = 4\nb = { width = 5 }\n")
    assert [(check.name, check.source.line) for check in load_config(path)] == [("a", 2), ("b", 2)]
    path = write("check.depth = 3\ncheck.a.width = 4\n")
    assert [check.source.line for check in load_config(path)] == [1]


def test_windows_line_ends(write):
    path = write("[check]\r\ndepth = 3\r\n\r\n[check.a]\r\ndpeth = 3\r\n")
    assert f"{path}:4: [check.a]: unknown key 'dpeth'; did you mean 'depth'?" == complaint(path)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_in_both_spellings(write, key):
    option = key.replace("-", "_")
    for spelling in {key, option}:
        for text, value in good(KEYS[key]).items():
            path = write(f"[check.a]\n{spelling} = {text}\n")
            [declared] = load_config(path)
            # Names of files are joined to the folder.
            named = isinstance(KEYS[key], File) and value is None
            expected = str(path.parent / "x.npy") if named else value
            assert declared.options == {option: expected}
            assert type(declared.options[option]) is type(expected)


def test_files_are_relative_to_the_configuration(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write('[check]\ninputs = "data/x.npy"\nbaseline = "/data/b.json"\n', "deep/snstat.toml")
    options = load_config("deep/snstat.toml")[0].options
    assert options == {
        "inputs": str(Path("deep", "data", "x.npy")),
        "baseline": str(Path("/data/b.json")),
    }


# Errors in a file


@pytest.mark.parametrize("key", KEYS)
def test_wrong_types(write, key):
    kind = KEYS[key]
    for value in BAD[kind.words]:
        path = write(f"[check]\n\n{key} = {value}\n")
        text = complaint(path)
        assert text.startswith(f"{path}:1: [check]: {key} is ")
        another = "; a check needs another name" if value[0] == "{" else ""
        assert text.endswith(f"but must be {kind.words}{another}")


def test_errors_name_the_value(write):
    assert " depth is 'deep', but must be a whole number" in complaint(
        write('[check]\ndepth = "deep"')
    )
    assert " depth is True, " in complaint(write("[check]\ndepth = true"))
    assert " depth is a value of thousands of digits, " in complaint(
        write(f"[check]\ndepth = 0x{'f' * 9000}")
    )


@pytest.mark.parametrize("key", ["activation", "inputs", "baseline", "select"])
@pytest.mark.parametrize("text", ["", "a\\nb", "a\\u0000b", "\\u001b[31m", "\\u0085", "x" * 4097])
def test_invalid_strings(write, key, text):
    value = f'["{text}"]' if key == "select" else f'"{text}"'
    path = write(f"[check]\n{key} = {value}\n")
    assert f"{path}:1: [check]: {key} is " in complaint(path)
    assert f"1 to {MAX_TEXT} characters" in complaint(path)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("dept", "depth"), ("weight_gian", "weight-gain"), ("cosine-mx", "cosine-max")],
)
@pytest.mark.parametrize("section", ["check", "check.a"])
def test_unknown_keys_get_the_nearest_name(write, section, key, nearest):
    path = write(f"# x\n[{section}]\ndtype = 'float64'\n{key} = 1\n")
    assert (
        complaint(path) == f"{path}:2: [{section}]: unknown key {key!r}; did you mean {nearest!r}?"
    )


def test_a_key_without_a_near_name_gets_the_list(write):
    path = write("[check]\nzzz = 1\n")
    assert complaint(path).startswith(
        f"{path}:1: [check]: unknown key 'zzz'; valid keys are activation, "
    )


@pytest.mark.parametrize(
    ("name", "text", "line", "expected"),
    [
        ("snstat.toml", "\n[chek]\n", 1, "unknown key 'chek'; did you mean 'check'?"),
        ("snstat.toml", "depth = 3\n", 1, "unknown key 'depth'; checks go under [check]"),
        (
            "snstat.toml",
            "[tool.snstat.check]\n",
            1,
            "unknown key 'tool'; checks go under [check]",
        ),
        (
            "pyproject.toml",
            "[tool.ruff]\n[tool.snstat.checks]\n",
            1,
            "[tool.snstat]: unknown key 'checks'; did you mean 'check'?",
        ),
        (
            "pyproject.toml",
            "[tool.snstat]\ndepth = 3\n",
            1,
            "[tool.snstat]: unknown key 'depth'; checks go under [tool.snstat.check]",
        ),
        (
            "pyproject.toml",
            "[tool]\nsnstat = 3\n",
            1,
            "[tool.snstat]: snstat is 3, but must be a table; write [tool.snstat.check]",
        ),
        (
            "pyproject.toml",
            "tool = []\n",
            1,
            "[tool]: tool is [], but must be a table; write [tool.snstat.check]",
        ),
        (
            "snstat.toml",
            "\n[[check]]\n",
            2,
            "[check]: check is [{}], but must be a table; write [check]",
        ),
        (
            "snstat.toml",
            "\n[[check.gradient]]\n",
            1,
            "[check]: 'gradient' is an array of tables; write single brackets",
        ),
        (
            "snstat.toml",
            "[check.a]\nx.y = 1\n",
            1,
            "[check.a]: unknown key 'x'; valid keys are",
        ),
        (
            "snstat.toml",
            "[check.a]\nweight-gain = 1\nweight_gain = 1\n",
            1,
            "[check.a]: weight-gain is given twice, with a dash and with an underscore; keep one",
        ),
        (
            "snstat.toml",
            "[check.inputs]\n",
            1,
            "[check]: inputs is {}, but must be normal, uniform or a file name; a check needs",
        ),
    ],
)
def test_wrong_structure(write, name, text, line, expected):
    path = write(text, name)
    assert complaint(path).startswith(f"{path}:{line}: {expected}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("snstat.toml", "[chek]"),
        ("pyproject.toml", "[tool.snstat.chek]"),
        ("pyproject.toml", "[tool]\nsnstat = 3"),
        ("pyproject.toml", "[tool.other"),
    ],
)
def test_a_misspelt_section_is_an_error(write, name, text):
    path = write(text, name)
    assert complaint(path.parent, load=find_config) == complaint(path)


@pytest.mark.parametrize("name", ["pyproject.toml", "snstat.toml"])
def test_no_section(write, name):
    path = write("", name)
    section = "[tool.snstat.check]" if name == "pyproject.toml" else "[check]"
    assert complaint(path) == f"{path}: has no {section}; declare a check there"


@pytest.mark.parametrize(
    "name", ['""', '" "', '"a\\nb"', '"a\\u2028b"', '"\\u0000"', '"\\u001b[31m"', "x" * 101]
)
def test_invalid_names(write, name):
    path = write(f"[check]\n[check.{name}]\n")
    assert complaint(path).startswith(f"{path}:1: [check]: a check is called ")
    assert complaint(path).endswith(f"1 to {MAX_NAME} printable characters")


def test_unusual_but_valid_names(write):
    names = ["x" * MAX_NAME, "größer als 1", "a.b", "[x]", "'", "=", "#", "default"]
    path = write("".join(f'[check."{name}"]\n' for name in names))
    assert [check.name for check in load_config(path)] == names
    assert [check.source.line for check in load_config(path)] == list(range(1, len(names) + 1))


def test_number_of_checks(write):
    tables = [f"[check.a{number}]\n" for number in range(MAX_CHECKS + 1)]
    assert len(load_config(write("".join(tables[:-1])))) == MAX_CHECKS
    path = write("".join(tables))
    assert complaint(path) == f"{path}:1: [check]: declares 1001 checks; declare at most 1000"


# Files that cannot be read


def test_toml_errors_name_line_and_column(write):
    path = write("[check]\ndepth = 3\ndepth = 4\n")
    assert complaint(path) == (
        f"{path}: is not valid TOML: Cannot overwrite a value (at line 3, column 10)"
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[check]\nx = '\xff'\n", ":2: is not UTF-8 (byte 0xff); save it as UTF-8"),
        ("[check]\n".encode("utf-16"), ":1: is not UTF-8 (byte 0xff); save it as UTF-8"),
        (b"x = " + b"[" * 100_000, ": arrays or tables are nested too deeply; nest less deeply"),
        (b"x = " + b"{a=" * 100_000, ": arrays or tables are nested too deeply; nest less deeply"),
        (b"\na" + b".a" * 400_000 + b"=1", ":2: a dotted key of more than 16 parts"),
        (b"x = " + b"1" * 5000, ": is not valid TOML: Exceeds the limit"),
        (b"x" * 500_000, ": is not valid TOML: Expected '=' after a key"),
        (b"#" * (MAX_BYTES + 1), f": has more than {MAX_BYTES:,} bytes; a configuration is short"),
        (b"[check]\n\0", ": is not valid TOML: "),
    ],
)
def test_damaged_files(write, data, expected):
    path = write(data)
    assert complaint(path).startswith(f"{path}{expected}")
    assert complaint(path.parent, load=find_config) == complaint(path)


def test_long_keys_are_shortened(write):
    key = "x" * 100_000
    assert complaint(write(f"[check]\n{key} = 1\n"))
    assert complaint(write(f"[{key}]\n[{key}]\n"))
    assert complaint(write(f"[check.{key}]\n"))


def test_largest_file(write):
    assert load_config(write("[check]\n".ljust(MAX_BYTES, "#")))


def test_paths_that_are_not_files_are_refused(tmp_path):
    assert complaint(tmp_path / "none.toml") == f"{tmp_path / 'none.toml'}: no such file"
    assert complaint(tmp_path / "none" / "x.toml").endswith("x.toml: no such file")
    assert complaint(tmp_path) == f"{tmp_path}: is a directory; give a TOML file"
    assert "is no file name" in complaint("a\0b")
    assert "File name too long" in complaint(tmp_path / ("x" * 5000))
    (tmp_path / "file").touch()
    assert complaint(tmp_path / "file" / "x").endswith("x: Not a directory")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_without_waiting(repository):
    pipe = repository / "snstat.toml"
    os.mkfifo(pipe)
    told = f"{pipe}: is not a plain file; give a TOML file"
    assert complaint(pipe) == told
    assert complaint(repository, load=find_config) == told


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can read every file"
)
def test_unreadable_file(write):
    path = write("[check]\n")
    path.chmod(0)
    assert complaint(path) == f"{path}: Permission denied"
    assert complaint(path.parent, load=find_config) == f"{path}: Permission denied"


# Discovery


def test_no_configuration_is_found(repository):
    (repository / "a" / "b").mkdir(parents=True)
    assert find_config(repository / "a" / "b") is None


def test_a_configuration_is_looked_for_up_to_the_root():
    folder = Path("/a/b/c")
    above = [os.path.normpath(folder / up) for up in _upward(folder)]
    assert above == ["/a/b", "/a", "/"]


def test_the_nearest_section_is_used(write, repository):
    (repository / "a" / "b" / "c").mkdir(parents=True)
    outer = write("[tool.snstat.check]\n", "pyproject.toml")
    write("[tool.other]\n", "a/b/pyproject.toml")
    assert find_config(repository / "a" / "b" / "c") == outer
    inner = write("[check.x]\n", "a/snstat.toml")
    assert find_config(repository / "a" / "b" / "c") == inner
    assert find_config(repository) == outer
    write("# nothing yet\n", "a/b/snstat.toml")
    assert find_config(repository / "a" / "b") == inner


@pytest.mark.parametrize("file", [True, False])
def test_the_search_ends_at_a_repository(write, tmp_path, file):
    write("[check]\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_config(inner) == tmp_path / "snstat.toml"
    if file:  # as in a submodule
        (tmp_path / "a" / ".git").touch()
    else:
        (tmp_path / "a" / ".git").mkdir()
    assert find_config(inner) is None
    # The root of the repository itself is searched too.
    own = write("[check]\n", "a/snstat.toml")
    assert find_config(inner) == own


def test_own_file_beside_a_pyproject_without_a_section(write, repository):
    write("[tool.other]\n", "pyproject.toml")
    own = write("[check]\n")
    assert find_config(repository) == own


def test_two_sections_in_one_folder(write, repository):
    pyproject, own = write("[tool.snstat.check]\n", "pyproject.toml"), write("[check]\n")
    assert complaint(repository, load=find_config) == (
        f"{pyproject}: declares checks, and so does {own}; keep them in one of the two"
    )


def test_a_file_in_the_folder_is_named_relative_to_it(write, repository, monkeypatch):
    path = write("[check]\n")
    (repository / "a").mkdir()
    monkeypatch.chdir(repository)
    assert find_config(".") == Path("snstat.toml")
    monkeypatch.chdir("a")
    assert find_config(".") == Path("..", "snstat.toml")
    assert find_config(repository / "a") == path


@pytest.mark.parametrize("name", ["pyproject.toml", "snstat.toml"])
def test_an_unreadable_file_is_an_error(repository, name):
    below = repository / "a"
    below.mkdir()
    path = repository / name
    path.mkdir()
    for folder in (repository, below):
        assert complaint(folder, load=find_config) == f"{path}: is a directory; give a TOML file"
    path.rmdir()
    path.symlink_to("nowhere")
    for folder in (repository, below):
        assert complaint(folder, load=find_config) == (
            f"{path}: is a link to a file that does not exist; mend or remove the link"
        )
    path.unlink()
    path.symlink_to(path)
    assert "symbolic links" in complaint(below, load=find_config)
    path.unlink()
    path.symlink_to("/dev/null")
    assert complaint(below, load=find_config) == f"{path}: is not a plain file; give a TOML file"
    # A link to a file counts as a file.
    path.unlink()
    (repository / "other.toml").write_text("[check]\n", "utf-8")
    path.symlink_to("other.toml")
    assert (find_config(below) is None) == (name == "pyproject.toml")


def test_a_path_that_is_not_a_folder_is_refused():
    assert "is no folder" in complaint("a\0b", load=find_config)


def test_an_error_names_file_line_and_check():
    error = located(
        Source("snstat.toml", 7), "deep", InvalidValueError("depth", 0, "at least 1", "try 1")
    )
    assert str(error) == "snstat.toml:7: check 'deep': depth is 0, but must be at least 1; try 1"
    assert isinstance(error, InputFileError)


@pytest.mark.parametrize(
    ("defaults", "own", "left"),
    [
        ("weight-gain = 1.5", "weight-std = 0.02", {"weight_std": 0.02}),
        ("weight-std = 0.02", "weight-gain = 1.5", {"weight_gain": 1.5}),
        ("depth = 4\nwidth = 8", 'widths = "8,4"', {"widths": "8,4"}),
        ('widths = "8,4"', "depth = 3", {"depth": 3}),
        ("depth = 4\nwidth = 8", "depth = 3", {"depth": 3, "width": 8}),
    ],
)
def test_a_key_of_a_check_replaces_conflicting_defaults(tmp_path, defaults, own, left):
    path = tmp_path / "snstat.toml"
    path.write_text(f"[check]\n{defaults}\n[check.a]\n{own}\n")
    (declared,) = load_config(path)
    assert dict(declared.options) == left
