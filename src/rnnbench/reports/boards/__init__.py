"""Every entry beside every other: leaderboard, across datasets, by task, by axis, cost, coverage, published numbers."""
