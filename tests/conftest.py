"""Shared by every test. Imports nothing heavy: the tests of records and reports must start without torch."""

import signal
import sys

from hypothesis import settings

settings.register_profile("rnnbench", max_examples=20, deadline=None, derandomize=True, database=None)
settings.load_profile("rnnbench")

# A shell starts what it puts into the background deaf to Ctrl-C, and every process started from here would be so, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """One thread where torch is used at all: the sizes are tiny, and the result is the same on every machine."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
