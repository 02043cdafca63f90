"""What numba compiles: random numbers, activations, and the layers of both samplers.

Kernels take arrays and scalars only. This is the one place without type annotations: numba
infers types, and a docstring gives the shapes.
"""

from snstat.engine.environment import load_numba

load_numba()
