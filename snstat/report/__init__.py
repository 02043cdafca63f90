"""Output of results: tables, text formats and figures.

Everything here depends only on the records of `snstat.results`.
"""
