"""Which runs a report is about: from names and key=value to one tidy frame, and which of its runs a table shows."""
