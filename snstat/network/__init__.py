"""The network: layers, widths, initialisers."""
