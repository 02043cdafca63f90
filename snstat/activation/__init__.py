"""The activations: one table, and the look-up of its entries by name."""

from snstat.activation.base import Activation, Asymptote, Elementwise, Form
from snstat.activation.exponential import ALPHA, LAMBDA, selu_with
from snstat.activation.half_linear import LEAKY_SLOPE
from snstat.activation.lookup import PARAMETERS, display_name, resolve
from snstat.activation.pair import Pair, checked, require_functions
from snstat.activation.table import ACTIVATIONS

__all__ = [
    "ACTIVATIONS",
    "ALPHA",
    "LAMBDA",
    "LEAKY_SLOPE",
    "PARAMETERS",
    "Activation",
    "Asymptote",
    "Elementwise",
    "Form",
    "Pair",
    "checked",
    "display_name",
    "require_functions",
    "resolve",
    "selu_with",
]
