"""Expectations over Gaussians: quadrature, pairs, centred moments."""
