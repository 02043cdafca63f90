"""What is the same for the modules of all frameworks: their rows, axes, inputs and trials."""
