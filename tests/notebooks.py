"""Execute the notebooks of examples/notebooks and rewrite their outputs.

`python -m tests.notebooks` is a part of `make outputs`. What depends on the machine or the time is
left out of the files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# A cell runs for at most so many seconds.
PATIENCE = 120


def read(path: Path) -> Any:
    """Return a notebook."""
    return nbformat.read(path, as_version=4)


def executed(path: Path) -> Any:
    """Return a notebook after running it in its folder. Raises CellExecutionError."""
    notebook = read(path)
    client = NotebookClient(
        notebook,
        timeout=PATIENCE,
        record_timing=False,
        coalesce_streams=True,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return notebook


def outputs(notebook: Any) -> list[tuple[str, str]]:
    """Return (kind, text) of all outputs; the text of a picture is empty."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                found.append(("picture", ""))
            else:
                found.append(("text", data.get("text/plain") or output.get("text", "")))
    return found


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else NOTEBOOKS:
        nbformat.write(executed(path), path)
