"""The matrix-free sampler: no weight is drawn."""
