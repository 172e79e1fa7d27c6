"""A store that can only be read, and a full disk: called so, with the path, by every command that writes."""

from __future__ import annotations

import builtins
import errno
import io
import os
import random

import pytest

from reports.page.paged import write_sweep
from reports.synthetic import fill_store, make_records
from rnnbench.bench.scale import made_up
from rnnbench.cli import main
from rnnbench.errors import UNWRITABLE, disk_full, unwritable
from rnnbench.runs import attempts
from rnnbench.runs.plan import prepare
from rnnbench.store.store import Store, write_atomic, write_once

KINDS = [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES]
SMALL = ["cell=rnn", "dataset=digits", "budget=smoke", "budget.updates=2", "tracker=none"]
WRITING = {
    "run": ["run", *SMALL],
    "sweep": ["sweep", *SMALL],
    "tune": ["tune", *SMALL, "optimizer.lr=interval(0.001,0.1)", "--trials", "1", "--name", "found"],
    "retry": ["retry"],
    "merge": ["merge", "{other}"],
    "publish": ["publish", "mine"],
    "report": ["report"],
    "clean": ["clean", "--yes"],
    "leaderboard": ["leaderboard", "--output", "{results}/out"],
    "tables": ["tables", "--output", "{results}/out"],
    "detach": ["sweep", *SMALL, "--detach"],
}


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """(results, other): a store with runs, one of which has failed, and another with one more."""
    results, other = tmp_path / "results", tmp_path / "other"
    broken = made_up(prepare([*SMALL, "seed=9"]), random.Random(0)) | {"status": "error", "reason": "it broke"}
    records = make_records(("rnn", "gru"), range(2))
    store = fill_store(Store(results / "runs"), [*records, broken])
    write_sweep(store, "mine", records)
    (store.folder(store.ids()[0]) / ".best.pt.left").touch()
    monkeypatch.setattr(attempts, "LEFT_SECONDS", 0.0)
    fill_store(Store(other / "runs"), make_records(("lstm",), range(1)))
    return results, other


@pytest.fixture
def refuse(monkeypatch):
    """refuse(folder, number): from here on nothing below a folder can be written, for that reason."""

    def apply(folder, number):
        inside = str(folder)

        def guard(module, name, writes):
            real = getattr(module, name)

            def call(path, *given, **more):
                if str(path).startswith(inside) and writes(given, more):
                    raise OSError(number, os.strerror(number), str(path))
                return real(path, *given, **more)

            monkeypatch.setattr(module, name, call)

        for name in ("mkdir", "rename", "replace", "unlink", "link", "utime", "rmdir"):
            guard(os, name, lambda given, more: True)
        guard(os, "open", lambda given, more: given and given[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        for module in (builtins, io):
            guard(module, "open", lambda given, more: set("wax+") & set(str((*given, more.get("mode", "r"))[0])))

    return apply


@pytest.mark.parametrize("number", KINDS, ids=errno.errorcode.get)
@pytest.mark.parametrize("command", ["sweep", "merge", "report"])
def test_why_nothing_can_be_written_is_said_with_the_path(stores, refuse, capsys, command, number):
    check(stores, refuse, capsys, command, number)


@pytest.mark.parametrize("command", WRITING)
def test_every_command_that_writes_says_so(stores, refuse, capsys, command):
    check(stores, refuse, capsys, command, errno.EROFS)


def check(stores, refuse, capsys, command, number):
    results, other = stores
    refuse(results, number)
    words = [word.format(results=results, other=other) for word in WRITING[command]]
    code = main([*words, "--results", str(results)])
    said = capsys.readouterr()
    assert code in (1, 2)
    assert "Traceback" not in said.err
    what, _ = UNWRITABLE[number]
    lines = [line for line in said.err.splitlines() if str(results) in line]
    assert len(lines) == 1, said.err
    assert what in lines[0] or os.strerror(number) in lines[0]
    assert lines[0].startswith("rnnbench: ")


@pytest.mark.parametrize(
    "words",
    [["status"], ["show", "{run}"], ["plan", *SMALL], ["clean", "--dry-run"]],
    ids=lambda words: words[0],
)
def test_what_only_reads_works_on_a_store_that_can_only_be_read(stores, refuse, capsys, words):
    results, _ = stores
    refuse(results, errno.EROFS)
    run = Store.open(results).ids()[1]
    code = main([*(word.format(run=run) for word in words), "--results", str(results)])
    assert code == 0, capsys.readouterr().err


@pytest.mark.parametrize("write", [write_atomic, write_once])
def test_a_disk_that_is_full_in_the_midst_of_a_file_is_said_with_its_path(tmp_path, monkeypatch, write):
    """The system names no file then."""

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path / "record.json", "{}")
    assert unwritable(caught.value, "elsewhere") == (
        f"the disk is full ({tmp_path / 'record.json'}: No space left on device): free some space"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_is_not_to_blame_for():
    assert [disk_full(OSError(number, "")) for number in KINDS] == [True, True, True, False]
    assert unwritable(OSError(errno.ENOENT, ""), "here") is None
    assert unwritable(OSError(errno.EROFS, ""), "here").startswith("the disk can only be read (here: Read-only file")
