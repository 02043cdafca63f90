"""Verdicts on stacks: rules, baselines, and the configuration that declares checks."""
