"""Output of results: tables, text formats and figures.

Everything here except `display` depends only on the records of `snstat.results`.
"""
