"""Stores of several machines joined: what is not here is copied whole, nothing here is overwritten, all is counted."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from made_up import begin, filled, planned, record
from sweeping import call

from rnnbench.errors import BadInput
from rnnbench.store.door import loads
from rnnbench.store.store import Store
from rnnbench.sweeps.merge import NOTE, merge
from rnnbench.sweeps.plan import write_manifest

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "quickstart"


@pytest.fixture
def two(tmp_path):
    """Our store with the first two runs of four, theirs with the last three."""
    made = planned("cell=rnn", "seed=range(4)", name="shared")
    ours = filled(tmp_path / "ours", made, 2)
    theirs = filled(tmp_path / "theirs", made, 0)
    for job in made.jobs[1:]:
        theirs.write(record(job))
        (theirs.folder(job.id) / "best.pt").write_bytes(b"weights")
        (theirs.folder(job.id) / ".record.json.x1").write_text("torn")
    return made, ours, theirs


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_is_missing_is_copied_with_all_its_files(two):
    made, ours, theirs = two
    found = merge(ours, [theirs.root.parent])
    assert (found.copied, found.equal, found.conflicts, found.problems) == (2, 1, [], [])
    assert sorted(ours.records()) == sorted(job.id for job in made.jobs)
    copied = ours.folder(made.jobs[3].id)
    assert sorted(p.name for p in copied.iterdir()) == ["best.pt", "record.json"]
    assert ours.read(made.jobs[3].id) == theirs.read(made.jobs[3].id)
    assert not list(ours.root.glob(".*"))


def test_again_it_changes_nothing(two):
    _, ours, theirs = two
    merge(ours, [theirs.root.parent])
    before = tree(ours.root.parent)
    again = merge(ours, [theirs.root.parent])
    assert (again.copied, again.equal, again.manifests) == (0, 3, 0)
    assert tree(ours.root.parent) == before


def test_their_store_is_left_as_it_is(two):
    _, ours, theirs = two
    before = tree(theirs.root.parent)
    merge(ours, [theirs.root.parent], unfinished=True)
    assert tree(theirs.root.parent) == before


def test_what_a_search_remembers_comes_along_and_is_never_overwritten(two):
    _, ours, theirs = two
    (journal := theirs.root.parent / "tune" / "s.journal").parent.mkdir()
    journal.write_text("their trials\n")
    assert merge(ours, [theirs.root.parent]).notes == []
    copied = ours.root.parent / "tune" / "s.journal"
    assert copied.read_text() == "their trials\n"
    copied.write_text("their trials\nand ours\n")
    assert merge(ours, [theirs.root.parent]).notes == [], "what went on here knows theirs"
    journal.write_text("other trials\n")
    (note,) = merge(ours, [theirs.root.parent]).notes
    assert note.startswith("the search s is kept as it is here")
    assert copied.read_text() == "their trials\nand ours\n"


def test_the_runs_folder_itself_is_a_source(two):
    _, ours, theirs = two
    assert merge(ours, [theirs.root]).copied == 2


def test_other_metrics_of_one_id_are_a_conflict_and_ours_is_kept(two, tmp_path):
    made, ours, theirs = two
    run = made.jobs[1].id
    theirs.set_aside(run)
    theirs.write(record(made.jobs[1], metrics={"test/accuracy": 0.25}))
    found = merge(ours, [theirs.root.parent])
    assert found.conflicts == [
        f"{run}: ok with test/accuracy 0.5 here, ok with test/accuracy 0.25 in {theirs.folder(run)}; ours is kept"
    ]
    assert ours.read(run)["metrics"]["test/accuracy"] == 0.5
    assert found.copied == 2, "a conflict stops nothing"


def test_a_failure_against_a_success_is_a_conflict_too(two):
    made, ours, theirs = two
    theirs.set_aside(made.jobs[1].id)
    theirs.write(record(made.jobs[1], status="oom", reason="x", metrics={}))
    (conflict,) = merge(ours, [theirs.root.parent]).conflicts
    assert "ok with test/accuracy 0.5 here, oom in" in conflict


def test_unfinished_runs_stay_unless_asked_for(two):
    made, ours, theirs = two
    run = made.jobs[3].id
    shutil.rmtree(theirs.folder(run))
    begin(theirs, made.jobs[3], rows=2, end="interrupted")
    found = merge(ours, [theirs.root.parent])
    assert (found.unfinished, ours.folder(run).exists()) == (1, False)
    found = merge(ours, [theirs.root.parent], unfinished=True)
    assert found.unfinished == 1
    assert (ours.folder(run) / "history.jsonl").exists()
    assert ours.read(run) is None


def test_a_run_in_somebodys_hand_is_not_taken(two):
    made, ours, theirs = two
    shutil.rmtree(theirs.folder(made.jobs[3].id))
    claim = begin(theirs, made.jobs[3])
    found = merge(ours, [theirs.root.parent], unfinished=True)
    assert (found.unfinished, len(found.notes)) == (0, 1)
    assert "still being run" in found.notes[0]
    claim.close("interrupted")


def test_what_was_begun_here_steps_aside_for_a_finished_run_and_is_kept(two):
    made, ours, theirs = two
    run = made.jobs[2].id
    begin(ours, made.jobs[2], rows=2, end="interrupted")
    found = merge(ours, [theirs.root.parent])
    assert (found.copied, ours.read(run)["status"]) == (2, "ok")
    assert (ours.root / f".begun-{run}-1" / "history.jsonl").exists()
    assert run in found.notes[0]
    assert run in ours.ids()
    assert len(ours.ids()) == 4


def test_what_runs_here_is_not_disturbed(two):
    made, ours, theirs = two
    claim = begin(ours, made.jobs[2])
    found = merge(ours, [theirs.root.parent])
    assert (found.copied, ours.read(made.jobs[2].id)) == (1, None)
    assert "is being run here" in found.notes[0]
    claim.close("interrupted")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda text: "{", "is not whole JSON"),
        (lambda text: "{}", "it has no schema_version"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 99'), "update rnnbench"),
        (lambda text: text.replace('"hidden_size": 64', '"hidden_size": 65'), "the id of its config is"),
        (lambda text: text.replace('"id": "', '"id": "a'), "and lies in the folder of run"),
        (lambda text: text.replace('"id": "', '"id": "../'), "for id, which is the name of its folder in every record"),
    ],
)
def test_damaged_and_foreign_records_are_named_and_skipped(two, damage, sentence):
    made, ours, theirs = two
    path = theirs.record_path(made.jobs[3].id)
    path.write_text(damage(path.read_text()))
    found = merge(ours, [theirs.root.parent])
    assert (found.copied, len(found.problems)) == (1, 1)
    assert sentence in found.problems[0]
    assert str(path.parent) in found.problems[0]


def linked(path, to):
    """path moved to another place, with a link in its stead."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, to)
    path.symlink_to(to)


@pytest.mark.parametrize("name", ["", "record.json", "best.pt", "attempts", "attempts/001", "attempts/001/claim.json"])
def test_no_link_in_a_run_is_followed_and_the_run_is_named(two, tmp_path, name):
    made, ours, theirs = two
    folder = theirs.folder(made.jobs[3].id)
    (folder / "attempts" / "001").mkdir(parents=True)
    (folder / "attempts" / "001" / "claim.json").write_text("{}")
    linked(folder / name, tmp_path / "secret")
    found = merge(ours, [theirs.root.parent])
    assert found.problems == [f"{folder / name} is a symbolic link, and none is followed"]
    assert (found.copied, ours.folder(made.jobs[3].id).exists()) == (1, False)


def test_an_unfinished_run_with_a_link_is_named_too(two, tmp_path):
    made, ours, theirs = two
    shutil.rmtree(theirs.folder(made.jobs[3].id))
    begin(theirs, made.jobs[3], rows=2, end="interrupted")
    folder = theirs.folder(made.jobs[3].id)
    linked(folder / "attempts", tmp_path / "elsewhere")
    found = merge(ours, [theirs.root.parent], unfinished=True)
    assert (found.unfinished, found.problems) == (0, [f"{folder}/attempts is a symbolic link, and none is followed"])


@pytest.mark.parametrize("part", ["runs", "sweeps", "tune"])
def test_no_folder_that_is_a_link_is_followed_unless_it_was_named(two, tmp_path, part):
    _, ours, theirs = two
    (theirs.root.parent / "tune").mkdir()
    (theirs.root.parent / "tune" / "s.journal").write_text("trials\n")
    write_manifest(planned("cell=gru", name="other"), theirs.root.parent)
    folder = theirs.root.parent / part
    linked(folder, tmp_path / "elsewhere")
    found = merge(ours, [theirs.root.parent])
    assert found.problems == [f"{folder} is a symbolic link; name it, and it is followed"]
    came = {
        "runs": found.copied == 2,
        "sweeps": (ours.root.parent / "sweeps" / "other.json").exists(),
        "tune": (ours.root.parent / "tune").exists(),
    }
    assert came == {each: each != part for each in came}
    if part == "runs":
        assert merge(ours, [folder]).copied == 2


def test_no_file_of_a_search_a_sweep_or_a_set_is_a_link(two, tmp_path):
    _, ours, theirs = two
    root = theirs.root.parent
    (root / "tune").mkdir()
    (root / "tune" / "s.journal").write_text("trials\n")
    shutil.copytree(PUBLISHED, root / "published" / "quickstart")
    paths = [root / "sweeps" / "shared.json", root / "tune" / "s.journal"]
    frozen = root / "published" / "quickstart" / "records.jsonl"
    for n, path in enumerate([*paths, frozen]):
        linked(path, tmp_path / f"secret{n}")
    found = merge(ours, [root, frozen.parent])
    assert found.problems == [f"{path} is a symbolic link, and none is followed" for path in [*paths, frozen]]
    assert (found.copied, found.manifests, (ours.root.parent / "tune").exists()) == (2, 0, False)


@pytest.mark.parametrize("name", ["record.json", "pipe", "attempts/001/claim.json"])
def test_a_pipe_is_neither_waited_for_nor_copied(two, name):
    made, ours, theirs = two
    path = theirs.folder(made.jobs[3].id) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    found = merge(ours, [theirs.root.parent])
    assert found.problems == [f"{path} is no regular file"]
    assert (found.copied, ours.folder(made.jobs[3].id).exists()) == (1, False)


def test_manifests_are_copied_and_joined(two):
    made, ours, theirs = two
    longer = planned("cell=rnn,gru", "peephole=off,on", "seed=range(4)", name="shared")
    write_manifest(longer, theirs.root.parent)
    write_manifest(planned("cell=gru", name="other"), theirs.root.parent)
    found = merge(ours, [theirs.root.parent])
    assert found.manifests == 2
    joined = json.loads((ours.root.parent / "sweeps" / "shared.json").read_text())
    assert joined["runs"] == list(dict.fromkeys([*(j.id for j in made.jobs), *(j.id for j in longer.jobs)]))
    assert joined["command"] == made.command
    assert sum(cell["cells"] for cell in joined["skipped"]) == 8
    assert (ours.root.parent / "sweeps" / "other.json").exists()


def test_a_published_set_is_gone_on_with(tmp_path):
    ours = Store(tmp_path / "ours" / "runs")
    found = merge(ours, [PUBLISHED])
    assert (found.copied, found.frozen, found.problems) == (48, 48, [])
    frozen = [loads(line) for line in (PUBLISHED / "records.jsonl").read_text().splitlines()]
    assert ours.records() == {record["id"]: record for record in frozen}
    one = ours.folder(frozen[0]["id"])
    assert sorted(p.name for p in one.iterdir()) == [NOTE, "record.json"]
    assert json.loads((one / NOTE).read_text())["weights"] is False
    manifest = json.loads((tmp_path / "ours" / "sweeps" / "quickstart.json").read_text())
    assert sorted(manifest["runs"]) == sorted(record["id"] for record in frozen)
    assert merge(ours, [PUBLISHED]).equal == 48


def test_a_torn_copy_is_never_seen(two, monkeypatch):
    """The power goes while a run is copied: the next merge does it again."""
    made, ours, theirs = two
    real = os.rename

    def cut(old, new):
        raise SystemExit("power cut")

    monkeypatch.setattr(os, "rename", cut)
    monkeypatch.setattr(shutil, "rmtree", lambda *a, **k: None)
    with pytest.raises(SystemExit):
        merge(ours, [theirs.root.parent])
    assert sorted(ours.records()) == sorted(job.id for job in made.jobs[:2])
    assert sorted(ours.ids()) == sorted(ours.records())
    monkeypatch.undo()
    assert os.rename is real
    (left,) = ours.root.glob(".merge-*")
    assert merge(ours, [theirs.root.parent]).copied == 2
    left.mkdir(exist_ok=True)
    os.utime(left, (0, 0))
    merge(ours, [theirs.root.parent])
    assert not left.exists()


def test_what_holds_no_runs_is_refused(tmp_path):
    store = Store(tmp_path / "ours" / "runs")
    (tmp_path / "empty").mkdir()
    store.root.mkdir(parents=True)
    for source, sentence in (
        (tmp_path / "none", "no sweep, published set, folder with runs or run is called"),
        (tmp_path / "empty", "no sweep, published set, folder with runs or run is called"),
        (store.root.parent, "is the store itself"),
        (store.root, "is the store itself"),
    ):
        with pytest.raises(BadInput, match=sentence):
            merge(store, [source])


@pytest.mark.integration
def test_the_command_counts_and_a_conflict_is_exit_code_1(two, tmp_path):
    made, ours, theirs = two
    words = ["merge", str(theirs.root.parent), str(PUBLISHED)]
    said = call(*words, results=ours.root.parent, cwd=tmp_path)
    counts = "50 copied (48 of a published set, without weights), 1 equal, 0 in conflict, 0 left out"
    assert (said.returncode, said.stdout) == (0, f"{counts}; 1 manifests written\n")
    damaged = theirs.record_path(made.jobs[2].id)
    whole = damaged.read_text()
    damaged.write_text("{")
    assert call(*words, results=ours.root.parent, cwd=tmp_path).returncode == 1, "something was left out"
    damaged.write_text(whole)
    ours.set_aside(made.jobs[0].id)
    ours.write(record(made.jobs[0], metrics={"test/accuracy": 0.125}))
    theirs.write(record(made.jobs[0]))
    said = call(*words, results=ours.root.parent, cwd=tmp_path)
    assert said.returncode == 1
    assert said.stderr.startswith(f"conflict: {made.jobs[0].id}: ok with test/accuracy 0.125 here")


def test_a_record_of_before_its_id_told_its_threads_is_taken(tmp_path):
    """Its config has today another id than its own, and nobody has changed it by hand."""
    one, two = planned("cell=rnn"), planned("cell=rnn", "harness.threads=2")
    filled(tmp_path / "old", one, 1, config=two.jobs[0].config)
    filled(tmp_path / "new", two, 1)
    store = Store.open(tmp_path / "all")
    found = merge(store, [tmp_path / "old", tmp_path / "new"])
    assert (found.copied, found.problems) == (2, [])
    assert set(store.ids()) == {one.jobs[0].id, two.jobs[0].id}
