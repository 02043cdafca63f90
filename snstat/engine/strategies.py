"""Which sampler carries a trial through the layers: with the weights drawn, or without them."""

from __future__ import annotations

from snstat.activation import require_functions, resolve
from snstat.engine.inputs import Inputs
from snstat.engine.sampler import Sampler
from snstat.errors import InvalidValueError
from snstat.network.stack import Stack


def make_sampler(
    name: str, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
) -> Sampler:
    """Return the sampler `name`, "dense" or "matrix-free"; kernels of the other are not loaded."""
    if name == "dense" and _custom(stack):
        from snstat.engine.dense.pair import PairSampler

        return PairSampler(stack, inputs, trials, seed, dtype, threads)
    if name == "dense":
        from snstat.engine.dense.sampler import DenseSampler

        return DenseSampler(stack, inputs, trials, seed, dtype, threads)
    from snstat.engine.matrix_free.sampler import MatrixFreeSampler

    return MatrixFreeSampler(stack, inputs, trials, seed, dtype, threads)


def choose_sampler(stack: Stack, batch: int, asked: str, *, backward: bool = False) -> str:
    """Return the sampler to use: the one `asked` for, or for "auto" the cheaper exact one.

    `backward` says that gradients are wanted too.

    Raises InvalidValueError where matrix-free is asked for and not exact, and for a pair of
    functions of which only the name is known.
    """
    for name in filter(None, (stack.activation, stack.last)):
        require_functions(resolve(name))
    obstacle = matrix_free_obstacle(stack, batch, backward=backward)
    if asked == "matrix-free" and obstacle:
        raise InvalidValueError("sampler", asked, f"dense {obstacle}", "use --sampler auto")
    if asked != "auto":
        return asked
    # Work of a layer: 3 batch² fan_out against 2 batch fan_in fan_out multiplications, and draws.
    if stack.runs:
        sides = [(n * layer.fan_out, layer.fan_in) for _, n, layer in stack.segments()]
        cheaper = sum(2 * batch * units for units, _ in sides) <= sum(a * b for a, b in sides)
    else:
        cheaper = 2 * batch <= min(stack.width, stack.input_width)
    return "matrix-free" if cheaper and not obstacle else "dense"


def matrix_free_obstacle(stack: Stack, batch: int, *, backward: bool = False) -> str:
    """Return why a stack cannot be sampled exactly without its weights, or ""."""
    if _custom(stack):
        return "with an activation that is a pair of functions"
    layer, narrowest = stack.layer(1), stack.width
    if stack.runs:
        narrowest = min(units for units, _ in stack.runs)
    if layer.distribution not in {"normal", "orthogonal"}:
        return f"with {stack.init}, whose weights are neither Gaussian nor orthogonal"
    if layer.bias_std > 0 and layer.bias_distribution != "normal":
        return f"with {stack.init}, whose biases are not Gaussian"
    if layer.distribution == "orthogonal" and batch > min(narrowest, stack.input_width):
        return f"with orthogonal weights and a batch of {batch} beyond the width"
    if layer.distribution == "orthogonal" and backward and 2 * batch > narrowest:
        return f"with orthogonal weights, gradients and a batch of {batch} beyond half the width"
    return ""


def _custom(stack: Stack) -> bool:
    """Return whether an activation of the stack is a pair of functions of Python."""
    return any(resolve(name).custom for name in (stack.activation, stack.last) if name)
