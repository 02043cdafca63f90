"""What the network is: layers, widths, initialisers."""
