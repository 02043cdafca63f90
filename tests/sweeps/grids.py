"""Small sweeps that tests share."""

from __future__ import annotations

SMALL = {"depth": 3, "batch": 4, "trials": 2, "backward": True}
AXES = {"width": [8, 16], "weight_gain": [1.0, 1.5], "seed": [0, 1]}


def times(folder):
    """Return when a folder and each entry within it changed."""
    return {entry: entry.stat().st_mtime_ns for entry in (folder, *folder.rglob("*"))}
