"""What tutorials say, and the verdict of the records by stated rules."""
