"""Every variant against its baseline, paired by seed: effects, diagnostics, cost, verdicts."""
