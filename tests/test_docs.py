"""The code in the README and in docs/ runs, and they and `--help` are correct."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

import snstat.cli
from snstat.activation import ACTIVATIONS
from snstat.cli import group
from tests.docs_blocks import (
    COMMAND,
    MARK,
    VERDICT,
    Block,
    blocks,
    columns,
    rewritten,
    run_script,
    script_of,
    shell_of,
    shown,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Called = Callable[[str, int], subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.docs

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"

# Option -> default in the public contract.
NETWORK_DEFAULTS = {
    "--activation": "selu",
    "--depth": 64,
    "--width": 1024,
    "--bias-std": 0,
    "--batch": 64,
    "--trials": 8,
    "--inputs": "normal",
    "--input-mean": 0,
    "--input-std": 1,
    "--seed": 0,
    "--dtype": "float32",
    "--sampler": "auto",
    "--format": "table",
    "--layers": "log",
}


def options_of(command: click.Command) -> Iterator[click.Option]:
    return (parameter for parameter in command.params if isinstance(parameter, click.Option))


@pytest.fixture(scope="module")
def commands() -> dict[str, click.Command]:
    """Return every command of snstat by name; the program itself is ""."""
    context = click.Context(group)
    found: dict[str, click.Command] = {"": group}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[name] = command
    return found


PAGES = [README, *sorted((CHECKOUT / "docs").glob("*.md"))]


# A command of snstat without words that a shell expands or acts on.
PLAIN = re.compile(r"snstat [^|&;<>$`(){}\[\]*?~#!\n]*")


@pytest.fixture
def called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Called:
    """Return what runs a plain command in this process, which has imported everything already, as
    `run_script` does in a shell."""
    monkeypatch.chdir(tmp_path)

    def call(command: str, width: int) -> subprocess.CompletedProcess[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        code = snstat.cli.run(shlex.split(command)[1:])
        return subprocess.CompletedProcess(command, code, *capsys.readouterr())

    return call


def parts_of(block: Block) -> list[str]:
    """Return what may be run one by one, in the order of the block: plain commands, and scripts."""
    text = block.text
    if block.language == "console":
        return [command.replace("\\\n", " ") for command in COMMAND.findall(text)]
    parts: list[str] = []
    for line in re.findall(r"(?:.*\\\n)*.*\n", text) if block.language == "sh" else [text]:
        command = re.sub(r"\s+#.*|\n$", "", line.replace("\\\n", " "))
        if PLAIN.fullmatch(command):
            parts.append(command)
        elif parts and not PLAIN.fullmatch(parts[-1]):
            parts[-1] += line
        else:
            parts.append(line)
    return parts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_run_and_show_the_real_output(page: Path, tmp_path: Path, called: Called) -> None:
    """The README is run by a shell, as its readers do; so are commands of others than snstat."""
    width = columns(page)
    found = [
        (block, script)
        for block in blocks(page.read_text("utf-8"))
        if not block.skipped and (script := script_of(block)) is not None
    ]
    assert page != README or any("snstat propagate" in script for _, script in found)
    run_script("", tmp_path)  # what commands of the pages find in their folder
    for block, script in found:
        console = block.language == "console"
        parts = [] if page == README else parts_of(block)
        if not any(map(PLAIN.fullmatch, parts)):
            results = [run_script(script, tmp_path, width)]
        else:
            results = [
                called(part, width)
                if PLAIN.fullmatch(part)
                else run_script(shell_of(part) if console else part, tmp_path, width)
                for part in parts
            ]
            for part, result in zip(parts, results, strict=True):
                if console and result.returncode == 1 and VERDICT.fullmatch(part):
                    result.returncode = 0
        for result in results:
            assert result.returncode == 0, f"{block.text}\n{result.stdout}\n{result.stderr}"
            assert "Traceback" not in result.stderr
        if console:
            output = f"{MARK}\n".join(result.stdout for result in results)
            assert words(shown(block, output)) == words(block.text)


def test_readme_names_every_command(commands: dict[str, click.Command]) -> None:
    page = README.read_text("utf-8")
    missing = [name for name in commands if f"snstat {name}".strip() not in page]
    assert not missing, f"name {missing} in README.md"


def test_the_readme_fits_on_two_screens() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150, "put the details into docs/"


def test_the_docs_name_every_activation() -> None:
    page = (CHECKOUT / "docs" / "propagate.md").read_text("utf-8")
    missing = [name for name in ACTIVATIONS if f"`{name}`" not in page]
    assert not missing, f"name {missing} in docs/propagate.md"


def test_readme_names_only_options_that_exist(commands: dict[str, click.Command]) -> None:
    # Only `snstat` lines, because pip, make and git have options of their own.
    known = {"--help", "--version"}
    for command in commands.values():
        for option in options_of(command):
            known.update(option.opts, option.secondary_opts)
    used = set()
    for line in README.read_text("utf-8").splitlines():
        if "snstat " in line:
            used.update(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line))
    assert used - known == set()


def test_every_option_has_a_help_text(commands: dict[str, click.Command]) -> None:
    silent = [
        f"{name} {option.opts[-1]}"
        for name, command in commands.items()
        for option in options_of(command)
        if not (option.help or option.hidden)
    ]
    assert silent == []
    assert [name for name, command in commands.items() if not command.help] == []


def test_short_help_names_options_of_the_full_help(
    commands: dict[str, click.Command], called: Called
) -> None:
    for name, command in commands.items():
        long, short = (
            called(f"snstat {name} {flag}", width=80).stdout for flag in ("--help", "-h")
        )
        assert len(short) < len(long) or not name
        for text in (long, short):
            assert f"snstat {name}".strip() in text
            for option in options_of(command):
                shown = option.hidden or max(option.opts, key=len) in text
                assert shown or (text is short and not name)
        assert " --help explains " in short
        assert "-h" in long


def test_help_states_the_defaults() -> None:
    result = CliRunner().invoke(group, ["propagate", "--help"])
    text = " ".join(result.output.split())
    unstated = []
    for name, default in NETWORK_DEFAULTS.items():
        # The entry of an option ends with the default that it states.
        _, _, entry = text.partition(f"{name} ")
        stated = re.search(r"\[default: \(?(.*?)\)?\]", entry)
        if stated is None or not re.match(rf"{default}(\.0)?(,|$)", stated[1]):
            unstated.append(name)
    assert unstated == []


@pytest.mark.parametrize(
    ("arguments", "left_out"),
    [
        ("--width 8", ["depth", "batch", "trials", "seed", "dtype", "inputs", "activation"]),
        ("--width 8", ["input-mean", "input-std", "bias-std"]),
        ("--depth 1 --batch 2 --trials 1", ["width"]),
    ],
)
def test_a_run_follows_the_stated_defaults(arguments: str, left_out: list[str]) -> None:
    result = CliRunner().invoke(group, ["propagate", *arguments.split(), "-f", "json"])
    (document,) = json.loads(result.stdout)["runs"]
    used = document["stack"] | document["simulation"]
    expected = {name: NETWORK_DEFAULTS[f"--{name}"] for name in left_out}
    assert {name: used[name.replace("-", "_")] for name in left_out} == expected


PAGE = """
```sh
echo one > file
make {target}
```
<!-- not run: needs a network -->

```sh
exit 7
```
```console
$ cat file | \\
  grep one
one
```
```python
print(open("file").read())
```
```text
not a script
```
"""


def test_blocks_are_found_and_run(tmp_path: Path) -> None:
    found = blocks(PAGE.replace("{target}", "demo"))
    assert [block.skipped for block in found] == [False, True, False, False, False]
    codes = [
        run_script(script, tmp_path).returncode for block in found if (script := script_of(block))
    ]
    assert codes == [0, 7, 0, 0]
    assert script_of(found[-1]) is None


def test_a_missing_make_target_fails_its_block(tmp_path: Path) -> None:
    block = blocks(PAGE.replace("{target}", "no-such-target"))[0]
    assert run_script(block.text, tmp_path).returncode != 0


def test_a_verdict_is_no_failure_and_an_error_is_one(tmp_path: Path) -> None:
    small = "-a relu --depth 4 --width 8 --batch 2 --trials 2 --weight-gain 9"
    for command, fails in ((f"check {small}", False), ("check --select SN9", True)):
        script = script_of(Block("console", f"$ snstat {command}\n", skipped=False))
        assert script is not None
        assert (run_script(script, tmp_path).returncode != 0) is fails


def test_outputs_in_docstrings_keep_their_indentation(tmp_path: Path) -> None:
    page = '"""Add.\n\n    ```console\n    $ printf "  1\\n\\n2\\n"\n{}    ```\n    """\n'
    assert rewritten(page.format("    old\n"), tmp_path, 80) == page.format("      1\n\n    2\n")
