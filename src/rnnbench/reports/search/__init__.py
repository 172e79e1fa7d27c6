"""What a search found, how sure that is at its size, and what each option explains."""
