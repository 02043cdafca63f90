"""The activations as kernels: vectorised polynomials in float32, the C library in float64."""

from __future__ import annotations

from numba import types
from numba.extending import overload

from snstat.engine.kernels.functions_double import activate_double, scale_by_derivative_double
from snstat.engine.kernels.functions_single import activate_single, scale_by_derivative_single

__all__ = ["activate", "scale_by_derivative"]


def activate(code, z, x):
    """Write the activation `code` of `z` to `x`; both (rows, columns), contiguous."""
    kernel = activate_single if z.itemsize == 4 else activate_double
    kernel(code, z, x)


@overload(activate)
def _activate(code, z, x):
    # Chosen by type, so that a kernel compiles only one of the two.
    kernel = activate_single if z.dtype == types.float32 else activate_double

    def call(code, z, x):
        kernel(code, z, x)

    return call


def scale_by_derivative(code, z, h):
    """Multiply `h` by the derivative of the activation `code` at `z`; both (rows, columns)."""
    kernel = scale_by_derivative_single if z.itemsize == 4 else scale_by_derivative_double
    kernel(code, z, h)


@overload(scale_by_derivative)
def _scale_by_derivative(code, z, h):
    # Chosen by type, so that a kernel compiles only one of the two.
    single = z.dtype == types.float32
    kernel = scale_by_derivative_single if single else scale_by_derivative_double

    def call(code, z, h):
        kernel(code, z, h)

    return call
