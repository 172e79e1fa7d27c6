"""Numbers from numbers: intervals, paired tests, ranks and ratings on plain arrays; no frame, no record, no words."""
