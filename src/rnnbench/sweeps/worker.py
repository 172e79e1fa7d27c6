"""One worker process: one run, in a process of its own, so that its death is its own and its memory is measured."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rnnbench.errors import disk_full, no_start, unwritable
from rnnbench.runs.plan import Job
from rnnbench.toolchain import remove_private_folder

# They reach every process of the group, or of a SLURM job's step (as its warning does), and are for the sweep, or for
# the job's task: these say when a worker stops.
LEFT_TO_THE_SWEEP = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
ORPHAN_SECONDS = 300.0  # what a run without a sweep may take to its checkpoint, before its process ends all the same

if TYPE_CHECKING:
    from rnnbench.runs.watch import StopRequest


def work(
    job: Job, results: Path, connection: Connection, environment: Mapping[str, str], heeded: Sequence[signal.Signals]
) -> None:
    """Do one job and tell the sweep how it went: (word, sentence). Ends by itself when the sweep is gone.

    environment: the sweep's own. The fork server has that of its start, and a notebook's next sweep may have another.
    heeded: signals at which the run writes its checkpoint and ends, though its sweep has not said so.

    words: a record's status, or busy (another process has it, or has taken it over), refused, interrupted, oom (for the
    first time: not recorded), full (nothing can be written), unable (the worker cannot even start).
    The sweep believes the store, not the word.
    """
    try:
        from rnnbench.errors import BadInput
        from rnnbench.runs.attempts import TakenOver
        from rnnbench.runs.run import Busy, OutOfMemory, attempt
        from rnnbench.runs.watch import StopRequest
        from rnnbench.store.store import Store
        from rnnbench.training import Interrupted
    except (ImportError, MemoryError, OSError) as error:  # its server, which has them, could not import them either
        _answer(connection, ("unable", no_start(error)))

    os.environ.clear()
    os.environ.update(environment)
    for number in LEFT_TO_THE_SWEEP:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_THE_SWEEP)  # as the fork server was started with them blocked
    stop = StopRequest(signals=heeded)
    threading.Thread(target=_listen, args=(connection, stop), name="sweep", daemon=True).start()
    try:
        record = attempt(job, Store.open(results), stop=stop, own_output=True, oom_again=True)
        answer = (record["status"], str(record["reason"]))
    except (Busy, TakenOver) as error:
        answer = ("busy", str(error))
    except BadInput as error:
        answer = ("refused", str(error))
    except Interrupted as error:
        answer = ("interrupted", str(error))
    except OutOfMemory as error:
        answer = ("oom", str(error))
    except OSError as error:
        if not disk_full(error):
            raise
        answer = ("full", unwritable(error, results) or str(error))
    _answer(connection, answer)


def _answer(connection: Connection, answer: tuple[str, str]) -> NoReturn:
    """Say how it went, and end at once."""
    with contextlib.suppress(OSError):  # nobody listens any more
        connection.send(answer)
    remove_private_folder()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the disk is full
            stream.flush()
    os._exit(0)  # the record is written; what third parties do at exit is not waited for


def _listen(connection: Connection, stop: StopRequest) -> None:
    """The sweep sends (reason, prune) to stop the run; its end of the pipe closes when it dies, however it dies."""
    while True:
        try:
            reason, prune = connection.recv()
        except (EOFError, OSError):
            break
        stop.ask(str(reason), prune=bool(prune))
    stop.ask("the sweep is gone")
    time.sleep(ORPHAN_SECONDS)  # a run that hangs would keep its claim for ever
    os._exit(1)
