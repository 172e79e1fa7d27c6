"""What a dataset is to the rest of the house: TaskSpec, splits, batches, losses, metrics, downloads."""
