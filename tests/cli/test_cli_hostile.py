"""A store of a stranger: hundreds of records that nobody would write, and files that are none, among good ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from cli.test_cli_names import ended, pushed
from reports.page.paged import full_store
from reports.predictions.framed import fill, frame_record
from reports.synthetic import make_record
from rnnbench.cli import main
from rnnbench.reports.selection.frame import store_frame
from rnnbench.store.record import dumps
from rnnbench.store.store import Store
from rnnbench.store.text import UNSAFE
from store.hostile import ANY, TEXTS, changed

pytestmark = pytest.mark.slow

SEED, RECORDS, OF_THE_SWEEP, SECONDS = 20_260_214, 520, 60, 120
PUBLISHED = Path(__file__).parents[2] / "results" / "published"
OBEYED = frozenset(map(chr, UNSAFE))

# What a stranger leaves beside records: by the file, JSON of every kind where a list or an object is expected.
BESIDE = ("history.jsonl", "config.yaml", "samples.npz", "attempts/001/claim.json", "attempts/001/outcome.json")
COMMANDS = (
    "leaderboard", "leaderboard frozen_odd --format markdown", "leaderboard frozen_odd --format json",
    "leaderboard hostile --format latex", "tables --show all", "tables hostile --format csv", "status",
    "status --format json", "status hostile", "report hostile", "report frozen_odd", "plan cell=rnn dataset=digits",
    "plan cell=rnn dataset=digits --format csv", "compare {results} quickstart", "compare hostile hostile --gate",
    "claims", "claims 1", "wandb push", "wandb tables hostile", "ablation hostile", "search hostile", "frames hostile",
    "predictions hostile",
    "publish hostile --partial", "verify", "tables frozen_odd", "merge {other}", "merge {frozen}", "show {good}",
    "show {odd}", "show {pipe}", "show {begun}", "diff {good} {odd}", "retry hostile --status pruned",
    "clean --dry-run", "serve --port 0", "leaderboard " + "x" * 5000, "show " + "x" * 5000,
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with results/, and the names that commands are given."""
    folder, random = tmp_path_factory.mktemp("hostile"), Random(SEED)
    store = full_store(folder / "results")
    frames = [frame_record(seed=seed) for seed in range(2)]
    fill(store, frames)
    good = store.ids()
    samples = [store.read(run) for run in good] + [
        json.loads(line)
        for path in sorted(PUBLISHED.glob("*/records.jsonl"))
        for line in path.read_bytes().splitlines()[::30]
    ]
    odd = [_odd_run(store, n, random.choice(samples), random) for n in range(RECORDS)]
    _odd_files(store, random)
    _odd_manifests(store, [*good, *odd[:OF_THE_SWEEP]], random)
    _odd_set(folder / "results" / "published" / "frozen_odd", samples, random)
    shutil.copytree(folder / "results" / "published" / "frozen_odd", folder / "frozen_elsewhere")
    shutil.copytree(store.root.parent, folder / "other", ignore=_no_pipes)
    os.mkfifo(folder / "other" / "runs" / good[0] / "pipe")
    names = {"results": "results", "other": "other", "frozen": "frozen_elsewhere", "good": good[0], "odd": odd[0]}
    return folder, names | {"pipe": "pipe", "begun": "begun0"}


def _odd_run(store: Store, n: int, record: dict, random: Random) -> str:
    run = f"{n:012x}"
    data = changed(record | {"id": run}, random, kindly=n % 2 == 0)
    store.folder(run).mkdir()
    store.record_path(run).write_bytes(data)
    for name in BESIDE:
        if random.random() < 0.3:
            path = store.folder(run) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_odd_lines(random))
    return run


def _odd_lines(random: Random) -> bytes:
    steps = ({"step": n, "train/loss": 1 / (n + 1), "val/loss": 0.5, "val/accuracy": 0.1} for n in range(5))
    lines = [changed(step, random, kindly=random.random() < 0.5) for step in steps]
    return b"\n".join([*lines, random.choice(ANY + TEXTS).encode()])


def _odd_files(store: Store, random: Random) -> None:
    """Folders, pipes, links and names that are no text; runs that were begun and never ended."""
    for name in ("pipe", "folder", "loop"):
        store.folder(name).mkdir()
    os.mkfifo(store.record_path("pipe"))
    os.mkfifo(store.folder("pipe") / "history.jsonl")
    os.mkfifo(store.folder("pipe") / "config.yaml")
    store.record_path("folder").mkdir()
    store.record_path("loop").symlink_to("record.json")
    for name in (b"caf\xe9", b"\xff[red]", "[b]\x1b[31m\u202e".encode(), b"new\nline"):
        path = store.root / os.fsdecode(name)
        path.mkdir()
        (path / "record.json").write_text(dumps(make_record(seed=1) | {"id": "x"}))
    for n in range(12):
        folder = store.folder(f"begun{n}") / "attempts" / "001"
        folder.mkdir(parents=True)
        (folder / "claim.json").write_bytes(_odd_lines(random).split(b"\n")[n % 6])
        (folder.parent.parent / "config.yaml").write_bytes(_odd_lines(random))
        (folder.parent.parent / "history.jsonl").write_bytes(_odd_lines(random))
    (store.root.parent / "index.parquet").write_bytes(b"PAR1" + random.randbytes(500) + b"PAR1")
    (store.root / "a file").write_text("no folder")


def _odd_manifests(store: Store, runs: list[str], random: Random) -> None:
    rules = json.loads(store.results.manifest("hunt").read_text()) if store.results.manifest("hunt").exists() else {}
    whole = {"command": "rnnbench sweep", "runs": runs, "skipped": [], "ablation": {}, "name": "[/]\u001b[1m"} | {
        key: value for key, value in rules.items() if key == "search"
    }
    store.results.manifest("hostile").write_text(json.dumps(whole))
    some = whole | {"runs": runs[:3], "entries": {"a=b": runs[:2]}, "skipped": [{"reason": "r", "cells": 1}]}
    for n in range(40):
        store.results.manifest(f"odd{n}").write_bytes(changed(some, random, kindly=n % 2 == 0))
    os.mkfifo(store.results.manifest("pipe"))


def _odd_set(folder: Path, samples: list[dict], random: Random) -> None:
    folder.mkdir(parents=True)
    lines = [changed(record, random, kindly=n % 2 == 0) for n, record in enumerate(samples)]
    (folder / "records.jsonl").write_bytes(
        b"\n".join([*lines, dumps(make_record()).replace("\n", " ").encode(), b"\xff"])
    )
    (folder / "sweep.json").write_text('{"name": "[/]", "command": "\\u001b[31m", "ablation": {}}')
    (folder / "curves.jsonl").write_bytes(b'{"id": "x", "rows": 3}\n{"id": null}\n' + _odd_lines(random))


def _no_pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not (Path(folder, name).is_file() or Path(folder, name).is_dir())]


@pytest.fixture
def at_most() -> Iterator[None]:
    """Where a command hangs, the test fails."""

    def over(*_: object) -> None:
        raise AssertionError(f"it hangs: {SECONDS} s are over")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda text: text[:40])
@pytest.mark.usefixtures("at_most")
def test_no_command_stops_hangs_or_shows_what_a_terminal_obeys(hostile, command, tmp_path, monkeypatch, capsys):
    folder, names = hostile
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RNNBENCH_RESULTS", "results")
    monkeypatch.setattr("rnnbench.reports.page.serve.server", ended)
    for name in ("push", "push_tables"):
        monkeypatch.setattr(f"rnnbench.tracking.push.{name}", pushed)
    words = [names.get(word.strip("{}"), word) for word in command.split()]
    if words[0] == "merge":
        shutil.copytree(folder / "results" / "sweeps", tmp_path / "sweeps", ignore=_no_pipes)
        words += ["--results", str(tmp_path)]
    code = main(words)
    said = capsys.readouterr()
    assert code in (0, 1, 2)
    assert not OBEYED.intersection(said.out + said.err)
    assert "Traceback" not in said.err
    assert max(map(len, said.err.splitlines()), default=0) < 3000


@pytest.mark.usefixtures("at_most")
def test_what_is_refused_is_counted_and_the_rest_is_there(hostile, monkeypatch, capsys):
    folder, _ = hostile
    monkeypatch.chdir(folder)
    store = Store.open("results")
    frame, problems = store_frame(store), store.problems
    there = [folder for folder in os.listdir(store.root) if os.path.lexists(store.root / folder / "record.json")]
    assert len(frame) + len(problems) == len(there)  # a link that leads to itself is there, too
    assert min(len(frame), len(problems)) > 200, "both kinds are tried"
    assert main(["leaderboard", "status=ok", "dataset=digits", "cell=gru"]) == 0
    said = capsys.readouterr()
    assert "GRU" in said.out
    assert re.search(rf"^left out: {len(problems)} records cannot be read: (.*, ){{9}}.* and \d+ more$", said.err, re.M)
