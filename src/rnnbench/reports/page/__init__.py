"""The report page: one HTML file that holds everything it needs; `serve` is the same, live."""
