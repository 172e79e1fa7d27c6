"""What is on disk: records, the store of runs, its index, manifests, published sets; and which of them a name means."""

from rnnbench.store.store import Store, read_jsonl, write_atomic

__all__ = ["Store", "read_jsonl", "write_atomic"]
