"""A sweep frozen with all that follows from its records, and rebuilt to the byte by `verify`."""
