"""What users bring: files of weights, and modules of other frameworks."""
