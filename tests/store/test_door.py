"""The one door to a record: whatever lies there is a record that every reader can use, or a sentence."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.synthetic import make_record
from rnnbench.errors import IDS, SHOWN
from rnnbench.reports.show import run_summary
from rnnbench.store import files
from rnnbench.store.door import loads, read_record, refused
from rnnbench.store.files import read_regular
from rnnbench.store.index import load
from rnnbench.store.parse import DEEPEST, parse, parse_yaml
from rnnbench.store.record import KEYS, RecordError, dumps, entry_id
from rnnbench.store.rows import columns, metrics_of, row
from rnnbench.store.store import Store
from store.hostile import changed

SETS = sorted((Path(__file__).parents[2] / "results" / "published").glob("*/records.jsonl"))
PUBLISHED = [line for path in SETS for line in path.read_bytes().splitlines()[::40]]
WHOLE = make_record("lstm")


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.parent.name)
def test_every_published_record_comes_through_unchanged(path):
    for line in path.read_bytes().splitlines():
        written = json.loads(line)
        assert loads(line) == dict.fromkeys(KEYS) | written


def used(record):
    """What readers do with a record: rows of tables, an index, its text, its page."""
    columns([row(record)])
    metrics_of(record)
    entry_id(record["config"] or {})
    run_summary(record, Path("x"))
    assert loads(dumps(record).encode()) == record


@settings(max_examples=120)
@given(st.sampled_from(PUBLISHED), st.randoms(use_true_random=False), st.booleans())
def test_what_comes_through_can_be_used_and_all_else_is_one_sentence(line, random, kindly):
    data = changed(json.loads(line), random, kindly=kindly)
    try:
        record = loads(data, name="here")
    except RecordError as error:
        said = str(error)
        assert said.startswith("here ")
        assert len(said) < 300
        assert "\n" not in said
        said.encode()
    else:
        used(record)


def text(**replaced):
    return json.dumps(WHOLE | replaced)


REFUSED = {
    "an id that is null": (text(id=None), "None for id, which is a text"),
    "an id that is an object": (text(id={"a": 1}), "an object of 1 for id"),
    "a digit more than 64 bits": (text(params=2**63), "a whole number beyond 64 bits (9223372036854775808"),
    "300 digits": (text(later=10**300), "301 characters"),
    "5,000 digits": (text(seed=0).replace('"seed": 0', f'"seed": {"9" * 5000}'), "5000 characters"),
    "beyond every float": (text().replace("20.0", "1e999", 1).replace("412.5", "1e999"), "beyond 1e+150 (1e999"),
    "half a character": (text(reason="\ud800"), "half a character in '\\ud800'"),
    "half a character in a key": (text(metrics={"test/\udc80": 1.0}), "half a character in 'test/\\udc80'"),
    "brackets in brackets": (text(later=1).replace('"later": 1', f'"later": {"[" * 900 + "]" * 900}'), "brackets"),
    "brackets without end": ("[" * 10**6, "brackets in brackets"),
    "a list for a text": (text(reason=["a"]), "a list of 1 for reason, which is a text or null"),
    "a text for a number": (text(metrics={"test/loss": "low"}), "'low' for metrics.test/loss, which is a number"),
    "true for a number": (text(seed=True), "True for seed, which is a whole number"),
    "a word for an axis": (text(axes={"depth": "two"}), "'two' for axes.depth, which is a whole number or null"),
    "a curve of words": (text(diagnostics={"h_grad_norm": {"0": [0.5, "x"]}}), "'x' for diagnostics.h_grad_norm.0.1"),
    "an unknown end": (text(status="fine"), "the unknown status 'fine'"),
    "a schema that is true": (text(schema_version=True), "schema_version True"),
    "bytes": (b"\xff" + text().encode(), "is not whole text"),
    "a long name": (text(status="x" * 5000), f"{'x' * (SHOWN - 1)}... (5,002 characters)"),
}


@pytest.mark.parametrize(("data", "says"), REFUSED.values(), ids=list(REFUSED))
def test_each_is_refused_in_a_sentence_that_says_what_it_is(data, says):
    with pytest.raises(RecordError, match=re.escape(says)) as caught:
        loads(data, name="here/record.json")
    assert str(caught.value).startswith("here/record.json ")
    assert len(str(caught.value)) < 250


def test_nulls_and_unknown_keys_come_through():
    found = loads(text(metrics={"test/loss": None}, later={"a": [1, {"b": None}]}, config=None, budget=None))
    assert found["later"] == {"a": [1, {"b": None}]}
    assert loads(text(later=[[]] * 1000))["later"] == [[]] * 1000, "many brackets, none of them deep"


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1])
def test_the_depth_is_counted_and_not_the_brackets(depth):
    data = ("[" * depth + "]" * depth + " " * 100).encode()
    if depth == DEEPEST:
        assert parse(data)
    else:
        with pytest.raises(ValueError, match="brackets in brackets"):
            parse(data)


def listening(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def odd_files(path):
    """What may be called record.json and is no file; each is made when it is asked for."""
    return {
        "a pipe": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
        "a device": lambda: path.symlink_to("/dev/zero"),
        "a socket": lambda: listening(path),
        "a link to itself": lambda: path.symlink_to(path),
    }


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device", "a socket", "a link to itself"])
def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "runs")
    good = make_record("gru")
    store.write(good)
    path = store.record_path("aaaaaaaaaaaa")
    path.parent.mkdir()
    odd_files(path)[kind]()
    with pytest.raises((RecordError, OSError)):
        store.read("aaaaaaaaaaaa")
    assert set(store.records()) == {good["id"]}
    assert list(store.problems) == [str(path)]
    if kind != "a link to itself":  # which is no record at all: nothing is there
        assert list(load(store).problems) == [str(path)]


def test_a_file_beyond_every_size_is_not_read(tmp_path):
    path = tmp_path / "record.json"
    with path.open("wb") as file:
        file.truncate(files.LARGEST + 1)
    with pytest.raises(RecordError, match="67,108,865 bytes, and at most 67,108,864 are read"):
        read_record(path, "x")
    assert read_record(tmp_path / "none", "x") is None


def test_a_file_is_read_whole_though_each_look_gives_a_part(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"0123456789")
    real = os.read
    monkeypatch.setattr(files.os, "read", lambda handle, size: real(handle, min(size, 3)))
    assert read_regular(tmp_path / "a") == b"0123456789"


def test_yaml_that_names_itself_again_and_again_is_refused():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    for bomb in (
        "\n".join(lines),
        "a: &a [*a]",
        "[" * 500 + "]" * 500,
        "x: " + "9" * 300,
        "a: b: c",
        "é" * (2**18 + 1),
    ):
        with pytest.raises(ValueError, match=r"^(has|is) "):
            parse_yaml(bomb)
    assert parse_yaml("a: {b: 1.5, 3: null, c: 2026-01-02}") == {"a": {"b": 1.5, "3": None, "c": "2026-01-02"}}


def test_at_most_ten_are_named_and_all_are_counted():
    problems = {f"runs/{n:012d}/record.json": f"why {n}" for n in range(12)}
    *reasons, last = refused(problems)
    assert reasons == [f"left out: why {n}" for n in range(IDS)]
    ids = ", ".join(f"{n:012d}" for n in range(IDS))
    assert last == f"left out: 12 records cannot be read: {ids} and 2 more"
    assert refused({}) == []
    assert refused({"set, line 3": "why"})[-1] == "left out: 1 record cannot be read: set, line 3"
