"""Theory of random networks: Gaussian expectations, maps, fixed points, predictions."""
