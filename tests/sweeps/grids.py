"""Small sweeps that tests share."""

from __future__ import annotations

SMALL = {"depth": 3, "batch": 4, "trials": 2, "backward": True}
AXES = {"width": [8, 16], "weight_gain": [1.0, 1.5], "seed": [0, 1]}
