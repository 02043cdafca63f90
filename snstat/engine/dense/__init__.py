"""The dense sampler: weights are drawn."""
