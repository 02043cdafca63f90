"""A hook of MkDocs: pages of docs/ are at the top of the site, all others at their own path.

Pages keep the paths that they have in the repository, so that their links hold here and there.
"""

from __future__ import annotations

from typing import Any

FOLDER = "docs/"


def on_files(files: Any, config: Any) -> Any:  # noqa: ARG001  # called by keyword
    for file in files:
        file.dest_uri = file.dest_uri.removeprefix(FOLDER)
    return files
