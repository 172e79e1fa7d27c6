from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from rnnbench.store import record as records
from rnnbench.store.door import loads
from rnnbench.store.record import (
    FINAL,
    KEYS,
    NOT_IN_ID,
    Record,
    RecordError,
    canonical,
    config_of,
    dumps,
    entry_id,
    run_id,
)

CONFIG = {
    "cell": {"name": "lstm", "version": 1, "options": {"forget_bias": 1.0}},
    "dataset": {"name": "digits", "version": 1},
    "depth": 2,
    "optimizer": {"name": "adam", "lr": 0.001},
    "seed": 0,
    "precision": "32-true",
    "backend": "torch",
}
WHOLE = {"schema_version": 1, "id": "x", "status": "ok", "axes": {}, "dataset": {}, "seed": 0, "metrics": {}}


def _leaves(config: dict, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in config.items():
        found += _leaves(value, (*path, key)) if isinstance(value, dict) else [(*path, key)]
    return found


def _changed(config: dict, path: tuple[str, ...]) -> dict:
    copy = json.loads(json.dumps(config))
    part = copy
    for key in path[:-1]:
        part = part[key]
    old = part[path[-1]]
    part[path[-1]] = old + "x" if isinstance(old, str) else old + 1
    return copy


def test_run_id_is_12_hex_digits_and_pinned():
    assert re.fullmatch(r"[0-9a-f]{12}", run_id(CONFIG))
    # Pinned: a change of the hash would orphan every record ever written.
    assert run_id({"cell": "lstm", "seed": 0}) == "cdd98dbb027e"


def test_run_id_does_not_see_what_changes_no_result():
    id_ = run_id(CONFIG)
    backwards = {k: dict(reversed(v.items())) if isinstance(v, dict) else v for k, v in reversed(CONFIG.items())}
    assert run_id(backwards) == id_
    assert run_id(CONFIG | {"depth": 2.0}) == id_
    assert run_id(CONFIG | {"cell": {"name": "lstm", "version": 1, "options": {"forget_bias": 1}}}) == id_
    assert run_id(CONFIG | {"new_option": None}) == id_
    assert run_id(CONFIG | {"optimizer": {"name": "adam", "lr": 0.001, "momentum": None}}) == id_
    for part in NOT_IN_ID:
        assert run_id(CONFIG | {part: {"folder": "elsewhere", "workers": 8}}) == id_


@pytest.mark.parametrize("path", _leaves(CONFIG), ids="/".join)
def test_run_id_sees_every_value_that_changes_a_result(path):
    assert run_id(_changed(CONFIG, path)) != run_id(CONFIG)


def test_run_id_keeps_apart_what_only_looks_alike():
    alike = (1, "1", True, [1], {"1": 1}, 1.5, 0, "0", False, "", [], {}, [1, 2], [2, 1])
    assert len({run_id({"option": value}) for value in alike}) == len(alike)


def test_run_id_refuses_what_json_cannot_say():
    with pytest.raises(ValueError, match="JSON"):
        run_id({"lr": math.nan})


def test_entry_id_is_the_run_id_without_the_seed():
    assert entry_id(CONFIG) == entry_id(CONFIG | {"seed": 7}) == entry_id({k: CONFIG[k] for k in CONFIG if k != "seed"})
    assert entry_id(CONFIG) != entry_id(CONFIG | {"depth": 3})
    assert entry_id(CONFIG) != run_id(CONFIG)


def test_canonical_is_idempotent_and_keeps_large_floats():
    value = canonical({"b": (1.0, None, -0.0, 1e300), "a": {"x": None}})
    assert list(value) == ["a", "b"]
    assert value == {"a": {}, "b": [1, None, 0, 1e300]}
    assert canonical(value) == value


def test_dumps_and_loads_round_trip():
    record = (
        dict.fromkeys(KEYS) | WHOLE | {"reason": "σ wird zu groß", "metrics": {"val/loss": 0.1 + 0.2}, "later": [1]}
    )
    assert loads(dumps(record)) == record
    assert dumps(loads(dumps(record))) == dumps(record)


def test_numbers_that_json_has_not_become_null():
    text = dumps(WHOLE | {"metrics": {"a": math.nan, "b": math.inf}, "later": [-math.inf, 1.0]})
    assert loads(text)["metrics"] == {"a": None, "b": None}
    assert loads(text)["later"] == [None, 1.0]
    by_hand = json.dumps(WHOLE | {"metrics": {"a": math.nan}})
    assert "NaN" in by_hand
    assert loads(by_hand)["metrics"] == {"a": None}


def test_the_keys_are_those_of_the_type_and_of_the_document():
    table = records.__doc__.split("======================  ")[1:]
    rows = [line for line in "".join(table).splitlines() if line and not line.startswith(("=", " "))]
    documented = [key for row in rows for key in re.split(r",? ", row.partition("  ")[0])]
    assert sorted(documented) == sorted(KEYS)
    assert tuple(Record.__annotations__) == KEYS


def test_a_record_without_a_config_is_read_and_gives_none():
    record = loads(json.dumps(WHOLE))
    assert record["config"] is None
    with pytest.raises(RecordError, match="run x has no config"):
        config_of(record)
    assert config_of(loads(json.dumps(WHOLE | {"config": CONFIG}))) == CONFIG


def test_loads_gives_every_key():
    assert set(KEYS) <= set(loads(json.dumps(WHOLE)))


@pytest.mark.parametrize("status", FINAL)
def test_every_final_status_is_read(status):
    assert loads(json.dumps(WHOLE | {"status": status}))["status"] == status


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not whole JSON"),
        (dumps(WHOLE)[:40], "not whole JSON"),
        ("[1]", "no rnnbench record"),
        ('{"id": "x"}', "no schema_version"),
        (json.dumps(WHOLE | {"schema_version": 2}), "update rnnbench"),
        (json.dumps(WHOLE | {"schema_version": "1"}), "schema_version '1'"),
        (json.dumps({k: v for k, v in WHOLE.items() if k not in ("axes", "seed")}), "lacks axes, seed"),
        (json.dumps(WHOLE | {"status": "skipped"}), "unknown status 'skipped'"),
        (json.dumps(WHOLE | {"metrics": None}), "None for metrics"),
        (json.dumps(WHOLE | {"schema_version": 0}), "schema_version 0"),
        (json.dumps(WHOLE | {"seed": "zero"}), "'zero' for seed"),
    ],
)
def test_loads_says_what_is_wrong_and_where(text, says):
    with pytest.raises(RecordError, match=re.escape(says)) as caught:
        loads(text, name="here/record.json")
    assert "here/record.json" in str(caught.value)


def test_what_describes_a_choice_is_not_in_the_id_but_its_version_is():
    node = {"meta": {"name": "lstm", "version": 1}, "biases": 2}
    wordy = {"meta": {"name": "lstm", "version": 1, "label": "LSTM", "peephole_gates": ["i"]}, "biases": 2}
    newer = {"meta": {"name": "lstm", "version": 2}, "biases": 2}
    assert run_id({"cell": node}) == run_id({"cell": wordy}) != run_id({"cell": newer})


FIRST = (
    (Path(__file__).parents[1] / "golden" / "records_v1.jsonl").read_text().splitlines()
)  # as the first version wrote them


def test_records_of_the_first_schema_say_what_they_said():
    bidirectional, peephole = map(loads, FIRST)
    assert set(KEYS) <= set(bidirectional)
    assert (bidirectional["id"], peephole["id"]) == ("7dbfdd91f20e", "f7746df6cf43")
    assert run_id(bidirectional["config"]) == bidirectional["id"], "the id is still that of the config"
    assert run_id(peephole["config"]) == peephole["id"]
    assert bidirectional["metrics"]["test/accuracy"] == 0.9555555582046509
    assert (peephole["axes"]["label"], peephole["axes"]["peephole"]) == ("LSTM +peephole", "on")
    assert peephole["floors"][peephole["floor"]] == 0.16763196671659872


def test_every_schema_has_its_step_to_the_next():
    assert set(records.UPGRADES) == set(range(1, records.SCHEMA_VERSION))


def test_a_later_schema_reads_the_first_through_its_steps(monkeypatch):
    """Two schemas on: a key renamed, then one nested; old and new records read alike, and none is touched."""

    def second(record):
        return {k: v for k, v in record.items() if k != "reason"} | {"why": record["reason"], "schema_version": 2}

    def third(record):
        return record | {"why": {"text": record["why"]}, "schema_version": 3}

    monkeypatch.setattr(records, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(records, "UPGRADES", {1: second, 2: third})
    first = json.loads(FIRST[0])
    expected = third(second(first))
    for old in (first, second(first), expected):
        found = loads(json.dumps(old))
        assert {key: found[key] for key in expected} == expected
    with pytest.raises(RecordError, match="reads up to 3"):
        loads(json.dumps(first | {"schema_version": 4}))
