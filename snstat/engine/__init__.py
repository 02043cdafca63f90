"""Simulation: counter-based random numbers, jitted kernels, samplers, the loop over depth."""
