"""Validation of one value: numbers within bounds, names of tables, text as people write it."""

from snstat.values.arithmetic import real, whole
from snstat.values.names import known
from snstat.values.ranges import integer, number

__all__ = ["integer", "known", "number", "real", "whole"]
