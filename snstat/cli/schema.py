"""`snstat schema`: print the JSON Schema of a result."""

from __future__ import annotations

import json

import click

from snstat.cli import version_option
from snstat.cli.formats import format_for
from snstat.cli.help import Explained
from snstat.cli.options import output_option
from snstat.cli.output import text_output, wrote
from snstat.cli.parameters import Value
from snstat.files.schema import SCHEMAS, schema
from snstat.values.kinds import Name


@click.command(cls=Explained)
@click.argument("name", type=Value(Name(SCHEMAS)), default="propagation")
@output_option
@version_option
def command(name: str, output: str | None) -> None:
    """Print the JSON Schema (2020-12) of a result: propagation (default), fixedpoint, check,
    network, weights or spectrum."""
    format_for(output, None, ("json",))
    with text_output(output) as write:
        write([json.dumps(schema(name), indent=2, ensure_ascii=False), "\n"])
    wrote(output, f"JSON Schema of {name}")
