"""Code compiled by numba: random numbers, activations and the layers of both samplers.

Kernels take at most eight arguments: arrays, scalars, and named tuples of them. They have no type
annotations, because numba infers types.
Docstrings, those of the tuples included, give the shapes.
"""

from snstat.engine.environment import load_numba

load_numba()
