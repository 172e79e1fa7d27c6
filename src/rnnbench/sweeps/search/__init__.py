"""Search: the runs of a sweep picked one after another, by what the earlier ones brought (Optuna, ask and tell)."""
