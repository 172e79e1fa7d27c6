"""The claims' published set: frozen whole, judged again from itself, and evidence for a store without runs."""

from __future__ import annotations

import json

import pytest

from reports.synthetic import fill_store, make_record, make_records
from rnnbench.errors import BadInput
from rnnbench.reports.claims.command import judge_all
from rnnbench.reports.claims.judge import HOLDS, OPEN
from rnnbench.reports.claims.wording import read_claims
from rnnbench.reports.publish.claims import publish_claims
from rnnbench.reports.publish.derive import verify
from rnnbench.reports.publish.freeze import publish
from rnnbench.store.store import Store

pytestmark = pytest.mark.integration  # each publishes, which draws figures
GAP = {"first": {"cell": "lstm"}, "second": {"cell": "gru"}, "each": {"dataset": ["adding"]}, "measure": "gap"}
BETTER = {"first": {"cell": "gru"}, "second": {"cell": "lstm"}, "each": {"dataset": ["digits"]}, "measure": "score"}
CONTENT = {
    "claims": [
        {"n": 1, "text": "GRU is best.", "source": "one", "experiments": ["pairs"], "checks": [BETTER | {"above": 0}]},
        {"n": 2, "text": "LSTM overfits.", "source": "two", "experiments": ["few"], "checks": [GAP | {"above": 0}]},
        {"n": 3, "text": "RNN is bad.", "source": "three", "experiments": ["own"],
         "checks": [{"entry": {"cell": "rnn"}, "measure": "score", "below": 0.95}]},
    ]
}  # fmt: skip
SWEEPS = {
    "pairs": make_records(("lstm", "gru"), range(8)),
    "few": make_records(("lstm", "gru"), range(8), dataset="adding"),
    "own": make_records(("rnn",), range(8), dataset="temporal_order"),
}


def noted(store: Store, name: str, records, **more) -> None:
    folder = store.root.parent / "sweeps"
    folder.mkdir(exist_ok=True)
    manifest = {"command": f"rnnbench sweep {name}", "runs": [r["id"] for r in records], "skipped": []}
    (folder / f"{name}.json").write_text(json.dumps(manifest | more))


@pytest.fixture
def store(tmp_path) -> Store:
    """Three experiments, of which one is published under its own name; gaps by cell are in the histories."""
    store = Store.open(tmp_path)
    for name, records in SWEEPS.items():
        fill_store(store, records)
        noted(store, name, records)
    for record in SWEEPS["few"]:
        gap = 0.3 if record["axes"]["cell"] == "lstm" else 0.1 + record["seed"] / 1000
        row = {"step": 500, "val/loss": 0.5 + gap, "train/loss": 0.5}
        (store.folder(record["id"]) / "history.jsonl").write_text(json.dumps(row) + "\n")
    publish(store, "own")
    return store


def verdicts(store: Store) -> list[str]:
    return [judged.verdict for judged in judge_all(store, read_claims(CONTENT))[0]]


def test_the_set_is_judged_again_from_itself_and_its_neighbours(store):
    folder = publish_claims(store, CONTENT)
    assert verify(folder) == []
    head = json.loads((folder / "sweep.json").read_text())
    assert set(head["sweeps"]) == {"pairs", "few"}, "the third has a set of its own"
    assert len((folder / "curves.jsonl").read_text().splitlines()) == 16, "of the claim that reads them, no others"
    assert "claims.md" in (folder / "README.md").read_text()
    report = folder / "claims.md"
    assert report.read_text().count("| holds |") == 3
    report.write_text(report.read_text().replace("holds", "does not hold", 1))
    assert verify(folder) == ["claims.md"]
    publish_claims(store, CONTENT)
    assert verify(folder) == []


def test_a_store_without_runs_shows_what_is_published(store, tmp_path):
    publish_claims(store, CONTENT)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (store.root.parent / "published").rename(fresh / "published")
    assert verdicts(Store.open(fresh)) == [HOLDS] * 3


def test_what_is_missing_is_named_and_partial_says_so(store):
    lost = SWEEPS["few"][0]["id"]
    store.record_path(lost).unlink()
    (store.root.parent / "sweeps" / "pairs.json").unlink()
    with pytest.raises(BadInput, match=r"all runs of experiment=pairs, 1 of 16 runs of experiment=few.*finish them"):
        publish_claims(store, CONTENT)
    folder = publish_claims(store, CONTENT, partial=True)
    assert "- not run: all runs: `experiment=pairs`" in (folder / "README.md").read_text()
    assert verify(folder) == []


def test_a_trial_takes_nothing_away_and_more_seeds_count(store):
    smoke = make_records(("lstm", "gru"), range(2), budget="smoke")
    fill_store(store, smoke)
    before = [record["id"] for record in SWEEPS["pairs"]]
    noted(store, "pairs", smoke, earlier=before)
    assert verdicts(store)[0] == HOLDS, "the last command was a trial, the runs before it are still there"
    more = make_records(("lstm", "gru"), range(16))
    fill_store(store, [record for record in more if record["seed"] >= 8])
    ids = [record["id"] for record in more]
    noted(store, "pairs", SWEEPS["pairs"], earlier=[*ids, *[record["id"] for record in smoke]])
    judged = judge_all(store, read_claims(CONTENT))[0][0]
    assert judged.findings[0].n == 16
    other = make_records(("lstm", "gru"), range(8), lrs=(0.5,))
    fill_store(store, other)
    noted(store, "pairs", SWEEPS["pairs"], earlier=[record["id"] for record in other])
    assert verdicts(store)[0] == HOLDS, "an earlier command's other setting is not mixed in"


def test_a_damaged_record_is_left_out_and_named(store):
    lost = SWEEPS["pairs"][0]["id"]
    store.record_path(lost).write_text("{torn")
    assert verdicts(store)[0] == OPEN
    assert [str(store.record_path(lost))] == list(store.problems)


def test_other_names_stay_free(store):
    assert make_record("lstm")["id"] in store.ids()
    assert publish(store, "pairs").name == "pairs"
