"""Print the dependencies of pyproject.toml, each at its lower bound, as constraints for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def lower_bounds(requirements: list[str]) -> list[str]:
    """Return each "name>=version" as "name==version"; ValueError without such a bound."""
    pinned = []
    for requirement in requirements:
        match = re.fullmatch(r"([A-Za-z0-9._-]+)>=([0-9.]+)", requirement)
        if match is None:
            message = f"{requirement!r} has no plain lower bound such as 'numpy>=1.26.4'"
            raise ValueError(message)
        pinned.append(f"{match[1]}=={match[2]}")
    return pinned


if __name__ == "__main__":
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    sys.stdout.write("\n".join(lower_bounds(project["dependencies"])) + "\n")
