"""Which sampler carries a trial through the layers: with the weights drawn, or without them."""

from __future__ import annotations

from snstat.engine.inputs import Inputs
from snstat.engine.sampler import Sampler
from snstat.errors import InvalidValueError
from snstat.stack import Stack


def make_sampler(
    name: str, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
) -> Sampler:
    """Return the sampler `name`, "dense" or "matrix-free"; kernels of the other are not loaded."""
    if name == "dense":
        from snstat.engine.dense_sampler import DenseSampler

        return DenseSampler(stack, inputs, trials, seed, dtype, threads)
    from snstat.engine.free_sampler import MatrixFreeSampler

    return MatrixFreeSampler(stack, inputs, trials, seed, dtype, threads)


def choose_sampler(stack: Stack, batch: int, asked: str) -> str:
    """Return the sampler to use: the one `asked` for, or for "auto" the cheaper exact one.

    Raises InvalidValueError where matrix-free is asked for and not exact.
    """
    obstacle = matrix_free_obstacle(stack, batch)
    if asked == "matrix-free" and obstacle:
        raise InvalidValueError("sampler", asked, f"dense {obstacle}", "use --sampler auto")
    if asked != "auto":
        return asked
    # Work per layer: 3 batch² width against 2 batch width² multiplications, and the draws.
    cheaper = 2 * batch <= min(stack.width, stack.input_width)
    return "matrix-free" if cheaper and not obstacle else "dense"


def matrix_free_obstacle(stack: Stack, batch: int) -> str:
    """Return why a stack cannot be sampled exactly without its weights, or ""."""
    layer = stack.layer(1)
    if layer.distribution not in {"normal", "orthogonal"}:
        return f"with {stack.init}, whose weights are neither Gaussian nor orthogonal"
    if layer.bias_std > 0 and layer.bias_distribution != "normal":
        return f"with {stack.init}, whose biases are not Gaussian"
    if layer.distribution == "orthogonal" and batch > min(stack.width, stack.input_width):
        return f"with orthogonal weights and a batch of {batch} beyond the width"
    return ""
