"""What a table is, how a number reads, and how a table is written: CSV, Markdown, LaTeX, JSON, Parquet, terminal."""
