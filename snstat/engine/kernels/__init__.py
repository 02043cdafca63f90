"""Code compiled by numba: random numbers, activations and the layers of both samplers.

Kernels take arrays and scalars only. They have no type annotations, because numba infers types.
Their docstrings give the shapes.
"""

from snstat.engine.environment import load_numba

load_numba()
