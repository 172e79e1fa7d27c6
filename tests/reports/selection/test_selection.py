from __future__ import annotations

import json

import pytest

from reports.page.paged import write_sweep
from reports.search.test_search import searched
from reports.synthetic import fill_store, make_record, make_records
from rnnbench.errors import BadInput
from rnnbench.reports.selection.places import of_published
from rnnbench.reports.selection.select import check, select
from rnnbench.store.record import dumps
from rnnbench.store.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    """Three cells, two datasets, one run with a learning rate, a sweep and a published set."""
    store = Store.open(tmp_path / "results")
    fill_store(store, [*make_records(), *make_records(("lstm",), dataset="adding", budget="smoke")])
    late = make_record(
        "lstm", lr=0.01, finished="2026-03-04T05:00:00+00:00", git={"commit": "ffff0000", "dirty": False}
    )
    store.write(late | {"axes": late["axes"] | {"peephole": "on", "depth": 2}})
    results = store.root.parent
    (results / "sweeps").mkdir()
    runs = [record["id"] for record in make_records(("gru",))]
    manifest = {"command": "rnnbench sweep x", "runs": [*runs, "0" * 12], "skipped": []}
    (results / "sweeps" / "mine.json").write_text(json.dumps(manifest))
    frozen = results / "published" / "frozen"
    frozen.mkdir(parents=True)
    lines = [json.dumps(record) for record in make_records(("mgu",))]
    (frozen / "records.jsonl").write_text("\n".join(lines) + "\n")
    (frozen / "sweep.json").write_text(json.dumps({"name": "frozen", "command": "x", "skipped": []}))
    return store


def cells(store, *words):
    return sorted(select(store, words).frame["cell"])


def test_no_words_are_the_whole_store(store):
    assert len(select(store, []).frame) == 13


@pytest.mark.parametrize(
    ("words", "runs"),
    [(["dataset=adding"], 3), (["cell=gru,rnn"], 6), (["cell=gru", "cell=rnn"], 6),
     (["cell=lstm", "dataset=digits"], 4),
     (["budget=smoke"], 3), (["depth=2"], 1), (["seed=0"], 5), (["peephole=off"], 12), (["peephole=none"], 12),
     (["peephole=on"], 1), (["commit=ffff"], 1), (["commit=a1,ffff"], 13), (["optimizer.lr=1e-2"], 1),
     (["since=2026-02-01"], 1), (["until=2026-01-02"], 12), (["since=2026-03-04", "until=2026-03-04"], 1),
     (["until=2026-03-04T04:59"], 12), (["device=cpu", "status=ok"], 13), (["hidden_size=64"], 13)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_words_of_different_keys_hold_together_and_values_are_alternatives(store, words, runs):
    assert len(select(store, words).frame) == runs


def test_names_are_sweeps_published_sets_and_folders(store, tmp_path):
    assert cells(store, "mine") == ["gru"] * 3
    assert cells(store, "sweep=mine") == cells(store, "experiment=mine") == ["gru"] * 3
    assert cells(store, "frozen") == cells(store, "published=frozen") == ["mgu"] * 3
    assert cells(store, "mine", "frozen") == ["gru"] * 3 + ["mgu"] * 3
    other = fill_store(Store.open(tmp_path / "other"), make_records(("rnn",)))
    for folder in (tmp_path / "other", other.root, store.root.parent / "published" / "frozen"):
        assert len(select(store, [str(folder)]).frame) == 3
    assert select(store, ["mine", "seed=0"]).frame["seed"].tolist() == [0]


def test_a_run_in_two_sources_is_one_run(store):
    assert len(select(store, ["mine", str(store.root)]).frame) == 13


def test_unfinished_runs_of_a_sweep_are_said(store):
    assert select(store, ["mine"]).remarks == ["1 of the 4 runs of mine are not finished"]


def test_runs_of_published_sets_are_known_as_such(store):
    found = select(store, ["mine", "frozen"])
    assert set(found.frame.loc[found.frame["id"].isin(list(found.frozen)), "cell"]) == {"mgu"}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["datset=digits"], "did you mean dataset"), (["dataset=digit"], "did you mean digits"),
     (["dataset="], "key=value"),
     (["=digits"], "key=value"), (["depth=two"], "whole number"), (["depth=7"], "known: 1, 2"),
     (["nothing"], "no sweep, published set, folder with runs or run"),
     (["mime"], "did you mean mine"), (["since=monday"], "no day"),
     (["since=2027-01-01"], "finished from 2026-01-02 to 2026-03-04"),
     (["since=2026-01-01,2026-01-02"], "give one day"),
     (["optimizer.lr=0.5"], "0.01"), (["clip.norm=1"], "none set clip.norm"), (["commit=zz"], "known: a1b2c3d4"),
     (["cell=gru", "dataset=adding"], "digits")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_selects_nothing_is_one_sentence(store, words, said):
    with pytest.raises(BadInput, match=said):
        select(store, words)


def test_a_value_with_a_comma_is_found_whole(store):
    record = make_record("lstm", seed=77)
    store.write(record | {"axes": record["axes"] | {"peephole": "hadamard, detach"}})
    assert len(select(store, ["peephole=hadamard, detach"]).frame) == 1


def test_an_empty_store_says_how_to_begin(tmp_path):
    with pytest.raises(BadInput, match="quickstart"):
        select(Store.open(tmp_path), [])


DAMAGED = {
    "truncated": dumps(make_record())[:300],
    "no json": "not a record",
    "foreign": '{"name": "somebody else\'s"}',
    "a list": "[1, 2]",
    "future": json.dumps(make_record() | {"schema_version": 99}),
    "status": json.dumps(make_record() | {"status": "splendid"}),
    "nested": "[" * 100_000,
    "empty": "",
}


@pytest.mark.parametrize("kind", [*DAMAGED, "bytes"])
def test_a_record_that_cannot_be_read_is_named_and_left_out(store, kind):
    folder = store.folder("badbadbadbad")
    folder.mkdir()
    (folder / "record.json").write_bytes(b"\xff\xfe{" if kind == "bytes" else DAMAGED[kind].encode())
    found = select(store, [])
    assert len(found.frame) == 13
    (problem,) = found.problems.values()
    assert "badbadbadbad" in problem


@pytest.mark.parametrize("kind", [*DAMAGED, "bytes"])
def test_a_damaged_line_of_a_published_set_is_named_and_left_out(store, kind):
    path = store.root.parent / "published" / "frozen" / "records.jsonl"
    bad = b"\xff\xfe{" if kind == "bytes" else DAMAGED[kind].replace("\n", "").encode()
    path.write_bytes(bad + b"\n" + path.read_bytes())
    found = of_published(path.parent, "frozen")
    assert len(found.frame) == 3
    (problem,) = found.problems.values()
    assert problem.startswith("frozen, line 1")


def test_a_damaged_head_of_a_published_set_is_said_where_it_is_named(store):
    """Without it a search's trials would stand in a leaderboard as rows that anybody could have made."""
    path = store.results.published / "frozen" / "sweep.json"
    path.write_text("{")
    with pytest.raises(BadInput, match=r"sweep\.json is damaged"):
        select(store, ["frozen"])
    assert len(select(store, []).frame) == 13
    path.unlink()
    assert len(select(store, ["frozen"]).frame) == 3, "a set without a head is its records"


def test_a_damaged_manifest_is_said_where_it_is_named_and_stops_nothing_else(store):
    (store.root.parent / "sweeps" / "mine.json").write_text("{")
    with pytest.raises(BadInput, match=r"mine\.json is damaged"):
        select(store, ["mine"])
    found = select(store, [])
    assert (len(found.frame), found.heads) == (13, {})
    assert found.remarks == [f"{store.results.manifest('mine')} is damaged; the sweep's command, given again, writes "
                             "it anew."]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "title", "tag"),
    [([], "all runs", ""), (["mine"], "mine", "mine"), (["sweep=mine"], "mine", "mine"),
     (["frozen", "mine"], "frozen and mine", "frozen_mine"),
     (["mine", "cell=lstm,gru", "seed=0"], "mine, cell lstm or gru, seed 0", "mine_cell-lstm-gru_seed-0"),
     (["until=2026-01-02T12:00"], "all runs, until 2026-01-02T12:00", "until-2026-01-02T12-00")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_selection_has_a_title_and_a_part_of_a_files_name(store, words, title, tag):
    found = select(store, words)
    assert (found.title, found.tag) == (title, tag)


def test_a_folder_s_title_is_its_end_and_its_tag_is_no_path(store, tmp_path, monkeypatch):
    fill_store(Store.open(tmp_path / "other"), make_records(("rnn",)))
    monkeypatch.chdir(tmp_path / "other")
    found = [select(store, [word]) for word in (str(store.root.parent), "../other", ".")]
    assert [each.title for each in found] == [f"{tmp_path.name}/results", f"{tmp_path.name}/other",
                                              f"{tmp_path.name}/other"]  # fmt: skip
    assert [each.tag for each in found[1:]] == ["other", "selection"]
    assert "/" not in found[0].tag
    assert select(store, [str(store.results.manifest("mine"))]).tag.endswith("-results-sweeps-mine")
    assert len(select(store, [f"seed={','.join(map(str, range(60)))}"]).tag) == 100


def test_of_a_run_in_two_places_the_record_named_first_is_meant(store):
    frozen = str(store.root.parent / "published" / "frozen")
    fill_store(store, make_records(("mgu",)))
    write_sweep(store, "again", make_records(("mgu",)))
    for words, of_set in (([frozen, "again"], True), (["again", frozen], False)):
        found = select(store, words)
        assert len(found.frame) == 3
        assert bool(found.frozen) is of_set
        assert {found.place(run).frozen for run in found.frame["id"]} == {of_set}


def test_sweeps_of_one_name_are_told_apart_and_one_place_counts_once(store, tmp_path):
    other = fill_store(Store.open(tmp_path / "other"), make_records(("rnn",)))
    write_sweep(other, "mine", make_records(("rnn",)))
    words = ["mine", str(tmp_path / "other"), str(store.root), str(store.root.parent), "frozen"]
    found = select(store, words)
    assert list(found.heads) == ["mine", f"mine ({tmp_path.name}/other)", "frozen"]
    assert list(select(store, [*words, "cell=mgu"]).heads) == ["frozen"]
    assert list(found.frame) == list(select(store, words[::-1]).frame), "the order of names is no order of columns"


def test_trials_are_those_of_the_searches_that_were_named(store):
    """A sweep by its name is what it is: that some search has its runs, too, makes them no trials of this sweep."""
    rules, trials = searched(6, {"lstm": 0.0, "gru": 0.02}, finals=1)
    fill_store(store, [record for record in trials if not store.record_path(record["id"]).exists()])
    write_sweep(store, "rates", trials, search=rules)
    write_sweep(store, "some", trials[:3])
    assert set(select(store, ["rates"]).frame["stage"]) == {"trial", "final"}
    assert "stage" not in select(store, ["some"]).frame
    assert set(select(store, ["some", "rates"]).frame["stage"]) == {"trial", "final"}


def test_where_runs_will_lie_is_known_before_there_are_any(store, tmp_path):
    (tmp_path / "new" / "runs").mkdir(parents=True)
    (tmp_path / "new" / "sweeps").mkdir()
    (tmp_path / "new" / "sweeps" / "first.json").write_text('{"command": "x", "runs": ["a"], "skipped": []}')
    (tmp_path / "new" / "sweeps" / "torn.json").write_text("{")
    new = Store.open(tmp_path / "new")
    assert check(new, []) == check(new, ["first", "dataset=anything", "optimizer.lr=1"]) == [new]
    assert check(store, [str(tmp_path / "new")]) == [new]
    for words in (["second"], ["torn"], ["sed=1"], ["seed=x"], ["until=x"], ["=1"]):
        with pytest.raises(BadInput):
            check(new, words)
