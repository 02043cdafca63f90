"""Traces a Keras model, on whatever backend it runs: every call of a layer is a row."""
