"""Rules, verdicts and baselines: a run, judged."""
