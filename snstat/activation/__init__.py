"""The activations: one table, and the look-up of its entries by name."""

from snstat.activation.base import Activation, Asymptote, Elementwise, Form
from snstat.activation.lookup import PARAMETERS, resolve
from snstat.activation.pair import Pair, checked, require_functions
from snstat.activation.table import ACTIVATIONS, ALPHA, LAMBDA, LEAKY_SLOPE, selu_with

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
    "require_functions",
    "resolve",
    "selu_with",
]
