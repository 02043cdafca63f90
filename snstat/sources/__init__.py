"""The user's own networks and weights, as other programs hold them."""
