"""Write the pages of all rules, which are docstrings, to one file of markdown.

`python -m tests.rule_pages docs/rules.md` is a part of `make outputs`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from snstat.checks.rules import catalogue, explanation

HEAD = """# The rules of `snstat check`

Written by `make outputs` from the docstrings of the rules in [snstat/checks](../snstat/checks).
`snstat check --explain CODE` prints the page of one rule, and `--list-rules` this table.

"""


def rules_page() -> str:
    """Return the list of the rules and their pages."""
    rows = [
        f"| [{code}](#{code.lower()}-{name}) | {name} | {summary} |\n"
        for code, name, summary in catalogue()
    ]
    table = "| code | name | the rule is broken if |\n|---|---|---|\n"
    pages = [f"\n#{explanation(code)}" for code, _, _ in catalogue()]
    return "".join([HEAD, table, *rows, *pages])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rules_page(), "utf-8")
