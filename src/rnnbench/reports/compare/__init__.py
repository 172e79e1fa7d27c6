"""Two selections against each other: what they share, and whether what changed is more than noise."""
