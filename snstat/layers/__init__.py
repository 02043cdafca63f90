"""The kinds of layers, one a file: their shapes, their theory and how their weights are drawn."""
