"""What the harness itself costs: every table of `make bench`, measured interleaved; nothing imports it."""
