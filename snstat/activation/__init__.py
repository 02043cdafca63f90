"""The activations: one table, and how an entry of it is found by name."""

from snstat.activation.base import Activation, Asymptote, Elementwise
from snstat.activation.lookup import resolve
from snstat.activation.table import ACTIVATIONS, ALPHA, LAMBDA, LEAKY_SLOPE, selu_with

__all__ = [
    "ACTIVATIONS",
    "ALPHA",
    "LAMBDA",
    "LEAKY_SLOPE",
    "Activation",
    "Asymptote",
    "Elementwise",
    "resolve",
    "selu_with",
]
