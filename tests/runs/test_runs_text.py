"""Runs on a text: every listed cell, killed and resumed to the bit, refused in a sentence, loaded again."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
import torch
from runs_tools import but_times, job, store
from runs_tools import outcomes as ends

from rnnbench.errors import AxisRefused, BadInput, MissingData
from rnnbench.runs import checkpoint, load, registry, run
from rnnbench.runs.samples import make as make_samples
from rnnbench.runs.watch import RunHooks
from rnnbench.store import outcomes, samples
from rnnbench.training import Interrupted

NOVEL = "".join("the cat sat on a mat, "[n * n * n % 101 % 22] for n in range(1500))
ENTRIES = {name: registry.read("cell", name)["meta"] for name in registry.choices("cell")}
DENSE = sorted(name for name, meta in ENTRIES.items() if meta["operator"] == "dense" or not meta.get("recurrent", True))
OPTIONS = ("dataset=own_text", "dataset.bptt=8", "budget.batch_size=6", "encoder_size=6", "hidden_size=8",
           "dataset.sample.characters=12")  # fmt: skip


@pytest.fixture
def novel(tmp_path):
    path = tmp_path / "novel.txt"
    path.write_text(NOVEL)
    return path


def on(novel, *more):
    return job(*OPTIONS, f"dataset.path={novel}", *more)


def done(made, kept):
    """The record and the best weights of a run."""
    record = run.attempt(made, kept)
    assert record["status"] == "ok", record["reason"]
    return record, checkpoint.load(kept.folder(made.id) / checkpoint.BEST)


def runs_whole(more, novel, folder):
    kept = store(folder)
    made = on(novel, *more, "budget.updates=4", "budget.val_every=2")
    record, _ = done(made, kept)
    assert record["metrics"]["test/bpc"] == pytest.approx(record["metrics"]["test/loss"] / 0.6931471805599453, rel=1e-6)
    assert set(record["floors"]) == {"unigram", "bigram", "trigram"}  # bz2 needs no byte more for so short a test
    shown = samples.read(kept.folder(made.id) / samples.FILE)
    assert (shown.kind, len(shown.sample)) == ("text", 12)
    assert shown.prompt == NOVEL[1425 : 1425 + 8]
    assert record["dataset"]["reading"]["facts"]["sizes"] == [1350, 75, 75]
    items = outcomes.read_run(kept.folder(made.id) / outcomes.FILE, record)
    assert items.count.tolist() == [8] * 9 + [2]  # of the 75 symbols of test all but the first
    novel.rename(folder / "elsewhere.txt")
    model = load.load_model(made.id, results=folder)
    assert sum(p.numel() for p in model.parameters()) == record["params"]
    novel.write_text(NOVEL + "another alphabet")
    with pytest.raises(BadInput, match="has changed since this run was planned"):
        make_samples(kept, made.id)


@pytest.mark.integration
@pytest.mark.parametrize("more", [("cell=gru", "backend=native"), ("cell=tcn",)])
def test_a_network_runs_on_a_text(more, novel, tmp_path):
    runs_whole(more, novel, tmp_path / "store")


@pytest.mark.slow
@pytest.mark.parametrize("cell", DENSE)
def test_every_listed_cell_runs_on_a_text(cell, novel, tmp_path):
    runs_whole([f"cell={cell}"], novel, tmp_path / "store")


@pytest.mark.integration
def test_the_main_metric_of_a_text_may_be_chosen(novel, tmp_path):
    kept = store(tmp_path / "store")
    chosen = ("dataset.metrics=[bpc,accuracy,MatthewsCorrCoef]", "dataset.metric=accuracy")
    record, _ = done(on(novel, "cell=gru", "budget.updates=4", "budget.val_every=2", *chosen), kept)
    assert (record["metric"], record["goal"], record["floor"]) == ("accuracy", "max", "bigram")
    assert {"test/bpc", "test/accuracy", "test/MatthewsCorrCoef"} <= record["metrics"].keys()
    assert set(record["floors"]) == {"unigram", "bigram", "trigram"}
    most = max(sorted(set(NOVEL)), key=NOVEL[:1350].count)
    assert record["floors"]["unigram"] == pytest.approx(NOVEL[1426:].count(most) / 74)


@contextlib.contextmanager
def at_update(update, act):
    """Within the block the hooks of every run act after update n."""
    progress = RunHooks.progress

    def watched(self, done, row):
        progress(self, done, row)
        if done == update:
            act()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunHooks, "progress", watched)
        yield


def equal(found, expected):
    assert but_times(found[0]) == but_times(expected[0])
    assert all(torch.equal(found[1][name], weight) for name, weight in expected[1].items())


@pytest.mark.integration
def test_killed_within_an_epoch_and_resumed_is_to_the_bit_the_unbroken_run(novel, tmp_path):
    made = on(novel, "harness.checkpoint_seconds=0", "harness.diagnostics=false", "depth=2", "cell=lstm")
    expected = done(made, store(tmp_path / "whole"))

    asked = store(tmp_path / "asked")
    with at_update(7, lambda: signal.raise_signal(signal.SIGTERM)), pytest.raises(Interrupted, match="SIGTERM"):
        run.attempt(made, asked)
    saved = checkpoint.load(asked.folder(made.id) / checkpoint.LAST)
    assert saved["progress"]["update"] == 7
    assert [len(layer) for layer in saved["carried"]] == [2, 2]
    equal(done(made, asked), expected)

    killed = store(tmp_path / "killed")
    if not (pid := os.fork()):
        with at_update(8, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            run.attempt(made, killed)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    saved = checkpoint.load(killed.folder(made.id) / checkpoint.LAST)
    assert saved["progress"]["update"] == 5  # the last validation
    equal(done(made, killed), expected)
    assert ends(killed.folder(made.id))[-1] == "ok"


@pytest.mark.parametrize("way", [pytest.param("backward", marks=pytest.mark.slow), "bidirectional"])
def test_a_network_that_sees_the_symbols_to_come_is_refused(novel, way):
    with pytest.raises(AxisRefused, match="would see the very steps"):
        on(novel, f"direction={way}")


def test_the_id_is_of_the_text_and_not_of_its_place(novel, tmp_path):
    other = tmp_path / "the same.txt"
    other.write_text(NOVEL)
    assert on(novel).id == on(other).id
    other.write_text(NOVEL + "!")
    assert on(novel).id != on(other).id


def test_what_is_no_text_is_refused_in_one_sentence(novel, tmp_path):
    novel.write_bytes(b"caf\xe9" * 100)
    with pytest.raises(BadInput, match=r"novel.txt is not UTF-8 \(byte 0xe9 at 3\)"):
        run.attempt(on(novel), store(tmp_path / "store"))


def test_the_penn_treebanks_files_are_a_part_of_the_id(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"ptb.train.txt is missing, and may not be passed on"):
        run.attempt(job("dataset=ptb"), store(tmp_path / "store"))
    (tmp_path / "ptb").mkdir()
    for name in ("train", "valid", "test"):
        (tmp_path / "ptb" / f"ptb.{name}.txt").write_text(" no it was n't black monday \n" * 600)
    first = job("dataset=ptb")
    assert set(first.config["dataset"]["meta"]["content"]) == {"path", "val_path", "test_path"}
    (tmp_path / "ptb" / "ptb.test.txt").write_text(" it was black monday \n" * 600)
    assert job("dataset=ptb").id != first.id
