"""Sweeps: many runs over a grid of options, which go on after any interruption."""
