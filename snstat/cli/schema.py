"""`snstat schema`: print the JSON Schema of a result."""

from __future__ import annotations

from importlib.resources import files

import click

from snstat.cli import version_option
from snstat.cli.help import Explained
from snstat.cli.output import write_stdout
from snstat.cli.parameters import Name

SCHEMAS = {
    "propagation": "propagation-2.json",
    "fixedpoint": "fixedpoint-1.json",
    "check": "check-1.json",
}


@click.command(cls=Explained)
@click.argument("name", type=Name(SCHEMAS), default="propagation")
@version_option
def command(name: str) -> None:
    """Print the JSON Schema (2020-12) of a result: propagation (default), fixedpoint or check."""
    text = files("snstat.files").joinpath("schemas", SCHEMAS[name]).read_text(encoding="utf-8")
    write_stdout([text])
