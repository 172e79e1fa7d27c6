"""No option that was added since moves an id: every published record has the id that today's code gives it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from rnnbench import toolchain
from rnnbench.bench.gate import write_files
from rnnbench.runs import registry
from rnnbench.runs.plan import prepare
from rnnbench.store.published import published_in, read_published
from rnnbench.store.record import run_id

ROOT = Path(__file__).parents[1]
PUBLISHED = published_in(ROOT / "results" / "published")
TOOLS = toolchain.Toolchain(("cc",), "gcc 12.2.0", ("-O3",), "x86-64")  # only that there is one is in an id


def asked(record):
    """The overrides of the command that makes a record's run again, on the device it had."""
    words = shlex.split(record["command"])
    assert words[:2] == ["rnnbench", "run"]
    return [*words[2:], f"device={record['device']}"]


def of_before_content(record):
    """Whether a record's dataset reads files of the user's, and its id tells their paths and not what is in them."""
    meta = record["config"]["dataset"]["meta"]
    return "content" not in meta and bool(registry.read("dataset", meta["name"])["meta"].get("files"))


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_every_record_has_the_id_of_its_config(name):
    for record in read_published(PUBLISHED[name]):
        assert run_id(record["config"]) == record["id"], record["command"]


@pytest.mark.integration
@pytest.mark.parametrize("name", list(PUBLISHED))
def test_every_entrys_command_asks_for_the_id_it_had(name, tmp_path, monkeypatch):
    """One run of each entry: the seed is the only other thing in an id, and the test above is over all of them.

    The files that the baseline reads are written anew: their content is part of the id. Of records of before that
    only the path is, so their ids have moved. Whether there is a compiler is as it was for the record, for
    backend=auto asks.
    """
    monkeypatch.chdir(tmp_path)
    write_files(Path("build/gate"))
    entries = {}
    for record in read_published(PUBLISHED[name]):
        words = tuple(word for word in asked(record) if not word.startswith("seed="))
        entries.setdefault(words, record)
    assert entries
    moved = []
    for record in entries.values():
        tools = TOOLS if record["backend"] == "compiled" else None
        monkeypatch.setattr(toolchain, "find", lambda tools=tools: tools)
        if prepare(asked(record)).id != record["id"] and not of_before_content(record):
            moved.append(record["command"])
    assert moved == [], "an option that is new must be null by default, or equal the behaviour of before"
