"""MANY runs: plan, queue, workers. Knows runs only by their config and record; imports no torch in this process."""
