"""Shared by every test. Imports nothing heavy: the tests of records and reports must start without torch."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent
# The tests of the library, of who finds the compiler, and of what asks for one.
ASK_FOR_A_COMPILER = {"nn", "properties", "test_toolchain.py", "test_bench_cells.py"}

settings.register_profile("rnnbench", max_examples=20, deadline=None, derandomize=True, database=None)
settings.load_profile("rnnbench")

# A shell starts what it puts into the background deaf to Ctrl-C, and every process started from here would be so, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """One cache of compiled cells for the session and all that it starts: each is compiled once, and none is left."""
    if hasattr(config, "workerinput"):  # of xdist, whose workers have the environment of their session
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("MPLCONFIGDIR", str(home / "matplotlib"))  # fonts are looked for once a user, not a session
    folder = tempfile.mkdtemp(prefix="rnnbench-tests-")
    os.environ["XDG_CACHE_HOME"] = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="module", autouse=True)
def one_kind_of_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    """No compiler, so that runs and their ids are the same on every machine, and no test waits for one.

    A module whose tests are of compiled runs has the mark `compiler`.
    """
    places = set(request.path.relative_to(ROOT).parts)
    if places & ASK_FOR_A_COMPILER or request.node.get_closest_marker("compiler"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNBENCH_CC", "")
        yield


def pytest_collection_finish() -> None:
    """One thread where torch is used at all: the sizes are tiny, and the result is the same on every machine."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
