"""Traces a module of Flax NNX: every call of a module within it is a row."""
