"""Files of weights: their formats, and what their tensors are."""
