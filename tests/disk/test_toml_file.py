"""Lines of tables and keys are found; text that only looks like a header is ignored."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snstat.disk.toml_file import (
    MAX_PARTS,
    MAX_SQUARES,
    TomlFile,
    _masked,
    _too_many_parts,
)


def line_of(text, *path):
    return TomlFile(Path("x.toml"), tomllib.loads(text), text).line_of(path)


@pytest.mark.parametrize(
    "header",
    [
        "[check.a]",
        "  [check.a]  ",
        "\t[ check . a ]# [check.b]",
        '[check."a"]',
        "['check'.'a']",
        '["\\u0063heck"."\\U00000061"]',
        "[check.a] # why",
    ],
)
def test_spellings_of_a_header(header):
    assert line_of(f"# first\n\nx = 1\n{header}\ndepth = 3\n", "check", "a") == 4


@pytest.mark.parametrize(
    "decoy",
    [
        "# [check.a]",
        '[other] # "\n# [check.a]"',
        's = """\n[check.a]\n"""',
        's = """\\"""\n[check.a]\n"""',
        's = """a\n""\n[check.a]\n"""""',
        's = """\\\\"""\nt = """\n[check.a]"""',
        "s = '''\n[check.a]\n'''",
        "s = '''\\'''\nt = '''\n[check.a]\n''\n'''''",
        "s = [ '''\n[check.a]''', \"[check.a]\",\n# ]\n'x']",
        's = "\\"\\\\"\nt = \'"\' # \'\nu = "#" # "\n# """\n# [check.a]',
        "s = ''\nt = \"\"\nu = '''''' # '''\n# [check.a]\nv = \"\"\"\"\"\" # \"\"\"",
        '[check.b]\nlist = [\n["check", "a"],\n["check"]\n]',
        '[check.b]\nlist = [\n  [1],\n  {x = [2]}, # ]]\n  [["check"]]]',
        '["check.a"]',
        "[check.a-b]",
        "[x.check.a]",
        "[[other]]\n[other.check]\n[other.check.a]",
    ],
)
def test_decoys(decoy):
    text = f"{decoy}\n[check.a]\n"
    assert line_of(text, "check", "a") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("[tool]\n[tool.x]\n[tool.x.a]\n", ("tool", "x"), 2),
        ("\n[check.a]\ny = 1\n[check]\nz = 1\n", ("check",), 4),
        # Without a header, the nearest table around it that has one.
        ("\n[check]\nx = 1\na.depth = 3\n", ("check", "a"), 2),
        ("\n[check]\na = { depth = 3, width = 4 }\n", ("check", "a"), 2),
        ("\n[check.a]\ny = 1\n", ("check",), 1),
        ("x = 1\ncheck.'a' . \"depth\" = 3\n", ("check", "a"), 1),
        ("\n[[check]]\nx = 1\n[[check]]\nx = 2\n", ("check",), 2),
        ("[check]\n'=' = 1\n\"]\" = 2\n[check.'] [']", ("check", "] ["), 4),
        ("x = 1\n", ("nothing",), 1),
        ("", ("nothing",), 1),
    ],
)
def test_lines_of_tables_and_keys(text, path, line):
    assert line_of(text, *path) == line


def test_mask_keeps_positions():
    text = 'a = \'x\' # y\nb = """\n.""""\n'
    assert _masked(text) == 'a = """    \nb = """""""""\n'
    assert len(_masked(text)) == len(text)


DECOYS = st.sampled_from(
    [
        "# [check.a]",
        "s{} = '''\n[check.a]\n'''",
        's{} = """\n[check.a]\\"""\n"""',
        "s{} = [\n['check'],\n[]]",
        "[other{}]",
        "[check.b{}]",
        'k{} = "#"',
        "",
    ]
)


@given(st.lists(DECOYS, max_size=12), st.lists(DECOYS, max_size=12))
def test_a_header_among_decoys(before, after):
    """The text is built around the header, so that its line is known."""
    parts = [*before, "[check.a]", *after]
    text = "\n".join(part.format(number) for number, part in enumerate(parts))
    expected = "\n".join(before).count("\n") + 1 + (1 if before else 0)
    assert line_of(text, "check", "a") == expected


def test_long_dotted_keys_are_found_only_where_they_are_keys():
    def dotted(parts):
        return ".".join("a" * parts)

    assert _too_many_parts(f"\n{dotted(MAX_PARTS)} = 1") is None
    assert _too_many_parts(f"\n\n{dotted(MAX_PARTS + 1)} = 1") == 3
    assert _too_many_parts(f"x = {{ {dotted(MAX_PARTS + 1)} = 1 }}") == 1
    assert _too_many_parts(f"[[{dotted(MAX_PARTS + 1)}]]") == 1
    assert _too_many_parts(f"'.'. {dotted(MAX_PARTS)}") == 1
    assert _too_many_parts(f"x = '{dotted(99)}' # {dotted(99)}") is None
    assert _too_many_parts("x = [" + "0.5, " * 10_000 + "]") is None


def test_many_long_dotted_keys_are_found():
    dots = MAX_PARTS - 1
    allowed = MAX_SQUARES // dots**2
    assert _too_many_parts(("." * dots + "\n") * allowed) is None
    assert _too_many_parts(("." * dots + "\n") * (allowed + 1)) == allowed + 1
