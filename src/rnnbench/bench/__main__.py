"""`make bench`: its parts one after the other, each in a process of its own; 1 where any of them failed.

::

    python -m rnnbench.bench                        print every table
    python -m rnnbench.bench --write docs/speed.md  and write those that this page has a place for
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

TABLES, SWEEP = "rnnbench.bench.tables", "rnnbench.bench.sweep"


def main(argv: Sequence[str] | None = None) -> int:
    """Run all parts, also after one that failed. argv: of the tables. The exit code is the largest of theirs, or 1."""
    words = list(sys.argv[1:] if argv is None else argv)
    codes = [_run(TABLES, *words)]
    if codes == [2]:
        return 2  # the words are wrong: nothing was measured
    codes.append(_run(SWEEP))
    return int(any(codes))


def _run(module: str, *words: str) -> int:
    return subprocess.run([sys.executable, "-m", module, *words]).returncode


if __name__ == "__main__":
    sys.exit(main())
