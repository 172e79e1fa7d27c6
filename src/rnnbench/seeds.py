"""One seed, several independent streams of random numbers.

Weights (`start`), the order of the batches (`order`), dropout (`noise`) and noise on the inputs (`input_noise`) each
draw from their own stream, so that adding a peephole moves neither the data nor the order of it. Generated datasets
draw from `dataset.data_seed`, which stays fixed while `seed` varies: every run of a table sees the same data.
"""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called names, the same on every machine, process and Python version."""
    text = "/".join(["rnnbench", str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
