"""What a name means, and what of a results folder can be read: apart from every command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.synthetic import fill_store, make_record, make_records
from rnnbench.errors import LISTED, BadInput, nearest
from rnnbench.store import published as sets
from rnnbench.store.folder import Results
from rnnbench.store.gathered import gather, resolve_run
from rnnbench.store.manifests import (
    all_manifest_runs,
    not_run,
    read_manifest,
    read_manifests,
    skipped_cells,
    skipped_lines,
)
from rnnbench.store.results import (
    PublishedSet,
    Run,
    Runs,
    Sweep,
    default_folder,
    known,
    meaning,
    resolve,
    resolve_own_sweep,
    resolve_published,
)
from rnnbench.store.store import Store

MANIFEST = {"command": "rnnbench sweep x", "runs": ["a", "b"], "skipped": [{"reason": "no peephole", "cells": 3}]}


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """Three runs, a sweep of two of them and one that never began, a published set; none comes with rnnbench."""
    monkeypatch.setattr(sets, "shipped", lambda: None)
    store = fill_store(Store.open(tmp_path / "results"), make_records(("gru",)))
    sweep(store, "mine", [*store.ids()[:2], "0" * 12])
    freeze(store.results.published / "frozen", make_records(("lstm",)))
    return store


def sweep(store: Store, name: str, runs: list[str]) -> None:
    store.results.sweeps.mkdir(exist_ok=True)
    store.results.manifest(name).write_text(json.dumps(MANIFEST | {"runs": runs}))


def freeze(folder: Path, records: list[dict]) -> None:
    folder.mkdir(parents=True)
    (folder / sets.RECORDS).write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / sets.HEAD).write_text(json.dumps({"name": folder.name, "command": "x", "skipped": []}))


def test_the_kinds_of_a_name(store, tmp_path):
    folder = store.results.root
    run = store.ids()[0]
    assert resolve(store, "mine") == Sweep(store, "mine", "mine")
    assert resolve(store, "frozen") == PublishedSet(folder / "published" / "frozen", "frozen", "frozen")
    assert resolve(store, str(folder / "published" / "frozen")).label == "published/frozen"
    assert resolve(store, str(folder)) == Runs(store, "results", f"{tmp_path.name}/results")
    assert resolve(store, str(store.root)) == Runs(store, "runs", "results/runs")
    assert resolve(store, str(folder / "sweeps" / "mine.json")) == Sweep(store, "mine", "results/mine")
    assert resolve(store, run[:7]) == resolve(store, run) == resolve(store, str(store.folder(run))) == Run(store, run)
    frozen = make_record("lstm", seed=1)["id"]
    assert resolve(store, frozen[:7]) == Run(folder / "published" / "frozen", frozen)
    assert known(store) == ["frozen", "mine"]


def test_of_several_meanings_the_first_that_is_wanted_counts(store):
    freeze(store.results.published / "mine", make_records(("rnn",)))
    assert isinstance(resolve(store, "mine"), Sweep)
    assert isinstance(resolve(store, "mine", (PublishedSet,)), PublishedSet)
    with pytest.raises(BadInput, match="'frozen' is a published set, and a sweep is needed here; known: mine"):
        resolve(store, "frozen", (Sweep,))
    with pytest.raises(BadInput, match="is a run, and a sweep or a published set is needed here"):
        resolve(store, store.ids()[0][:6], (Sweep, PublishedSet))
    with pytest.raises(BadInput, match="no sweep or published set is called 'mime'; did you mean mine"):
        resolve(store, "mime", (Sweep, PublishedSet))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "mine/", "no/such/folder", "a\0b", "*", "mine.json", "x" * 300, "x" * 5000, "\ud800"]
)
def test_odd_words_are_no_names(store, name, monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(BadInput, match="no sweep, published set or folder with runs is called"):
        resolve(store, name, (Sweep, PublishedSet, Runs))


def test_a_beginning_of_several_ids_asks_for_more(store):
    fill_store(store, [make_record() | {"id": f"{n:012x}"} for n in (0xABC << 36, (0xABC << 36) + 1)])
    with pytest.raises(BadInput, match="is the beginning of 2 runs"):
        resolve(store, "abc")
    frozen = [make_record() | {"id": f"fff00000000{n}"} for n in range(2)]
    freeze(store.results.published / "more", frozen)
    with pytest.raises(BadInput, match=r"is the beginning of 2 published runs \(fff000000000, fff000000001\); "):
        resolve(store, "fff0")


def test_a_place_of_one_run_is_that_run(store):
    freeze(store.results.published / "single", [make_record("mgu")])
    assert resolve_run(store, "single").name == make_record("mgu")["id"]
    with pytest.raises(
        BadInput, match=r"'frozen' is a published set \(3 runs\), and one run is needed here; give its id: \w{12}, "
    ):
        resolve_run(store, "frozen")


def test_only_a_name_that_may_be_misspelt_is_put_right(store):
    """A path, or a name of another kind, is no misspelling: all that there is is listed."""
    with pytest.raises(BadInput, match=r"no published set is called 'frozem'; did you mean frozen\?"):
        resolve_published(store, "frozem")
    with pytest.raises(BadInput, match=r"no published set is called 'there/frozem'; known: frozen"):
        resolve_published(store, "there/frozem")
    sweep(store, "frozenly", store.ids())
    with pytest.raises(BadInput, match=r"'frozenly' is a sweep, and a published set is needed here; known: frozen"):
        resolve_published(store, "frozenly")


def test_a_sweep_elsewhere_is_not_written_into(store, tmp_path):
    other = fill_store(Store.open(tmp_path / "other"), make_records(("rnn",)))
    sweep(other, "theirs", other.ids())
    with pytest.raises(BadInput, match=r"is a sweep of another store; --results .*other works on that one"):
        resolve_own_sweep(store, str(other.results.manifest("theirs")))
    assert resolve_own_sweep(store, str(store.results.manifest("mine"))) == "mine"
    freeze(other.results.published / "set", make_records(("rnn",)))
    for name, folder in ((str(other.results.published / "set"), store.results.tables / "x"),
                         ("frozen", store.results.published / "frozen" / "in"),
                         ("mine", store.results.tables / "x")):  # fmt: skip
        assert default_folder(store, resolve(store, name), "x", "in") == folder


def test_what_is_gathered_of_a_place(store):
    found = gather(resolve(store, "mine"))
    assert [record["id"] for record in found.records] == store.ids()[:2]
    assert found.remarks == ["1 of the 3 runs of mine are not finished: rnnbench sweep x"]
    store.record_path(store.ids()[0]).write_text("{")
    found = gather(resolve(store, "mine"))
    assert (len(found.records), len(found.problems), found.lacking) == (1, 1, 1)
    assert len(gather(resolve(store, "frozen")).records) == 3
    open_run = store.folder(store.ids()[1])
    store.record_path(open_run.name).unlink()
    (open_run / "attempts").mkdir()
    with pytest.raises(BadInput, match="is not finished"):
        gather(resolve(store, open_run.name))


# manifests


NO_RUNS = ("../x", "/x", "", "..", "a\0b", "\ud800", "x" * 300)
BROKEN = {
    "no json": "{", "a list": "[]", "no command": json.dumps({"runs": [], "skipped": []}),
    "runs": json.dumps(MANIFEST | {"runs": 3}), "a run": json.dumps(MANIFEST | {"runs": [1]}),
    "skipped": json.dumps(MANIFEST | {"skipped": [{"reason": "x"}]}),
    "skipped runs": json.dumps(MANIFEST | {"skipped": [{"reason": "x", "cells": 1, "runs": ["../x"]}]}),
    "entries": json.dumps(MANIFEST | {"entries": {"a": 1}}), "search": json.dumps(MANIFEST | {"search": []}),
    "ablation": json.dumps(MANIFEST | {"ablation": "yes"}), "earlier": json.dumps(MANIFEST | {"earlier": None}),
    "brackets without end": "[" * 100_000, "trials": json.dumps(MANIFEST | {"search": {"trials": [1]}}),
    "studies": json.dumps(MANIFEST | {"search": {"studies": 3}}),
    **{f"the run {run!r:.9}": json.dumps(MANIFEST | {"runs": [run]}) for run in NO_RUNS},
}  # fmt: skip


@pytest.mark.parametrize("kind", [*BROKEN, "bytes", "a folder"])
def test_a_damaged_manifest_is_one_sentence_and_hides_no_other(store, kind):
    path = store.results.manifest("bad")
    if kind == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"\xff\xfe{" if kind == "bytes" else BROKEN[kind].encode())
    sentence = f"{path} is damaged; the sweep's command, given again, writes it anew."
    with pytest.raises(BadInput) as error:
        read_manifest(store.results, "bad")
    assert str(error.value) == sentence
    found, problems = read_manifests(store.results)
    assert (list(found), problems) == (["mine"], [sentence])
    with pytest.raises(BadInput, match="is damaged"):
        all_manifest_runs(store.results)


def test_an_unknown_manifest_is_named_with_the_nearest(store, tmp_path):
    with pytest.raises(BadInput, match=r"no sweep 'mime' in .*sweeps; did you mean mine"):
        read_manifest(store.results, "mime")
    with pytest.raises(BadInput, match="has not been run here"):
        read_manifest(Results(tmp_path / "none"), "mime")


def test_what_a_manifest_skipped_and_lacks():
    cells = [{"reason": "a", "cells": 2}, {"reason": "b", "cells": 1}, {"reason": "a", "cells": 5}]
    assert skipped_cells(cells) == {"a": 5, "b": 1}
    assert skipped_lines(skipped_cells(cells)) == ["skipped: 5 cells: a", "skipped: 1 cell: b"]
    manifest = MANIFEST | {"entries": {"": ["a"], "depth=2": ["b", "c"]}}
    assert not_run(manifest, {"b"}) == {"the defaults": "1 of 1 runs", "depth=2": "1 of 2 runs"}
    assert not_run(MANIFEST, {"a", "b"}) == {}


# published sets


@pytest.mark.parametrize(
    "head",
    [
        "{",
        "[]",
        '{"skipped": 3}',
        '{"samples": []}',
        '{"search": null}',
        '{"search": {"space": {}}}',
        "[" * 100_000,
        '{"name": 3}',
        '{"claims": {}}',
    ],
)
def test_a_damaged_head_is_one_sentence(store, head):
    folder = store.results.published / "frozen"
    (folder / sets.HEAD).write_text(head)
    with pytest.raises(BadInput, match=r"sweep\.json is damaged; take it from where the set came from"):
        sets.read_head(folder)


def test_a_folder_where_the_records_should_be_is_no_set(store):
    (store.results.published / "odd" / sets.RECORDS).mkdir(parents=True)
    assert "odd" not in sets.own_published(store.results)
    assert meaning(store, "odd") is None


def test_a_set_without_a_head_has_its_name(store):
    folder = store.results.published / "frozen"
    (folder / sets.HEAD).unlink()
    assert sets.read_head(folder) == {"name": "frozen", "command": "", "skipped": []}


def test_a_user_s_own_set_comes_before_the_one_that_came_along(store, tmp_path, monkeypatch):
    for name in ("frozen", "theirs"):
        freeze(tmp_path / "came" / name, make_records(("rnn",)))
    monkeypatch.setattr(sets, "shipped", lambda: tmp_path / "came")
    found = sets.published(store.results)
    assert found == {"frozen": store.results.published / "frozen", "theirs": tmp_path / "came" / "theirs"}
    assert sets.is_own(store.results, found["frozen"])
    assert not sets.is_own(store.results, found["theirs"])
    run = make_record("rnn")["id"]
    assert sets.find_frozen(store.results, run[:8]) == [(run, found["theirs"])]


def test_the_sets_of_this_repository_are_found_beside_the_checkout():
    assert sets.shipped() == Path(__file__).parents[2] / "results" / "published"
    assert {"quickstart", "claims", "convlstm_peephole"} <= set(sets.shipped_names())


def test_of_very_many_names_the_first_are_listed():
    text = nearest("zzz", [f"name{n:03}" for n in range(LISTED + 2)])
    assert text.startswith("known: name000, ")
    assert text.endswith(f"name{LISTED - 1:03} and 2 more.")
