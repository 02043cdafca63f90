"""From a result to what a person reads: tables, text formats and figures.

Everything here is a function of the records of `snstat.results` and of nothing else.
"""
