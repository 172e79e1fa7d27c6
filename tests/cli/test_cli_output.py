"""What commands print: text of records is text, on a terminal and in a pipe."""

from __future__ import annotations

import io
import os
import sys

import pytest

from reports.ablation.ablated import study
from reports.page.paged import write_sweep
from reports.synthetic import fill_store, make_record
from rnnbench.cli import main
from rnnbench.cli.output import console, printable_streams
from rnnbench.errors import IDS, listed_ids, nearest, shown
from rnnbench.store.store import Store
from rnnbench.tracking.push import Pushed

EVIL = "[/] [red]x[/red] :smile: \x1b]0;owned\x07\x9b31m\u202e"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """The standard output as a terminal that takes colours."""
    made = Terminal()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_rich_keeps_its_colours_and_obeys_no_text(monkeypatch):
    from rich.table import Table
    from rich.text import Text

    out = terminal(monkeypatch)
    table = Table()
    table.add_column("name")
    table.add_row(EVIL)
    with printable_streams():
        print(EVIL)
        console().print(EVIL, Text(EVIL, style="red"), table)
    said = out.getvalue()
    assert "\x1b[31m" in said, "rich's own"
    assert "owned" in said
    assert not {"\x07", "\x9b", "\u202e"} & set(said)
    assert "\x1b]" not in said
    assert said.count("[/] [red]x[/red] :smile: \\x1b]0;owned") == 4
    assert sys.stdout is out


def test_every_print_of_a_command_is_printable(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store = Store.open("results")
    label = EVIL.replace("/", "|")
    fill_store(store, [make_record(label=label, seed=seed, reason=EVIL, status="error") for seed in range(2)])
    (store.root / os.fsdecode(b"\xff\x1b[1m")).mkdir()
    (store.root / os.fsdecode(b"\xff\x1b[1m") / "record.json").write_text("{}")
    for command in ("leaderboard", "status", "tables --show all", f"show {store.ids()[0][:6]}", "leaderboard \x1b[1m"):
        code = main(command.split(" "))
        said = capsys.readouterr()
        assert code == (2 if command.endswith("m") else 0)
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\udcff"} & set(said.out + said.err)
    assert "'\\x1b[1m'" in said.err


def test_a_name_of_thousands_of_letters_is_not_said_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill_store(Store.open("results"), [make_record(seed=seed) for seed in range(2)])
    for command in ("leaderboard", "show", "status", "publish", "verify", "ablation", "frames", "diff x", "merge"):
        assert main([*command.split(), "x" * 5000]) == 2
        said = capsys.readouterr().err
        assert len(said) < 700, command
        assert "xxx... (5,002 characters)" in said or command == "diff x", command


READING = {
    "leaderboard": 0, "tables": 0, "report": 0, "compare mine mine": 0, "status": 0, "status mine": 0, "wandb push": 0,
    "plan cell=rnn dataset=digits": 0, "ablation mine --no-figures": 0, "claims 1": 0, "retry": 0, "retry mine": 0,
    "publish mine": 2, "publish mine --partial": 0,
}  # fmt: skip
ONE = "1 record cannot be read"


@pytest.mark.integration
@pytest.mark.parametrize("command", READING)
def test_every_command_counts_and_names_what_it_cannot_read(tmp_path, monkeypatch, capsys, command):
    """Twelve records of a sweep are refused: each command goes on with the others, and names ten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    monkeypatch.setattr("rnnbench.tracking.push.push", lambda what, *_, **__: Pushed(len(list(what))))
    store = Store.open("results")
    good = study(("off", "on"), range(6))
    fill_store(store, good)
    bad = [f"{n:012x}" for n in range(12)]
    named = "claims_lag" if command.startswith("claims") else "mine"
    for run in bad:
        store.folder(run).mkdir()
        store.record_path(run).write_text('{"id": null}')
    write_sweep(store, named, [*good, *({"id": run} for run in bad)], ablation={})
    if command.startswith("plan"):
        from rnnbench.sweeps.plan import plan

        bad = [plan(command.split()[1:]).jobs[0].id]
        store.folder(bad[0]).mkdir()
        store.record_path(bad[0]).write_text("[]")
    assert main(command.split()) == READING[command]
    said = capsys.readouterr().err
    if command.startswith("plan"):
        assert f"damaged: {ONE} (move it away to run again): {bad[0]}" in said
    else:
        assert f"12 records cannot be read: {', '.join(bad[:10])} and 2 more" in said


def test_at_most_ten_names_are_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store = fill_store(Store.open("results"), [make_record()])
    store.results.sweeps.mkdir()
    for n in range(30):
        store.results.manifest(f"zzz{n:02d}").write_text('{"command": "", "runs": [], "skipped": []}')
    for command in ("status", "leaderboard", "ablation"):
        assert main([command, "nothing"]) == 2
        assert capsys.readouterr().err.count("zzz") <= IDS
    assert listed_ids(map(str, range(12))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert nearest("x", map(str, range(12)), IDS).endswith("and 2 more.")
    assert (shown({"a": 1}), shown([1, 2]), shown(10**40)) == ("an object of 1", "a list of 2", str(10**40))
