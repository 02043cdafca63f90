"""The sampler of any network: layers give their own values, and weights are drawn."""
