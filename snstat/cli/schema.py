"""`snstat schema`: print the JSON Schema of a result."""

from __future__ import annotations

import json

import click

from snstat.cli import version_option
from snstat.cli.help import Explained
from snstat.cli.output import write_stdout
from snstat.cli.parameters import Value
from snstat.files.schema import SCHEMAS, schema
from snstat.values.kinds import Name


@click.command(cls=Explained)
@click.argument("name", type=Value(Name(SCHEMAS)), default="propagation")
@version_option
def command(name: str) -> None:
    """Print the JSON Schema (2020-12) of a result: propagation (default), fixedpoint or check."""
    write_stdout([json.dumps(schema(name), indent=2, ensure_ascii=False), "\n"])
