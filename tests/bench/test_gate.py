"""The gate: what it runs, and which source it notes."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import shlex
from pathlib import Path

import numpy as np
import pytest

from rnnbench import toolchain
from rnnbench.bench import gate
from rnnbench.errors import BadInput
from rnnbench.runs import registry, vouched
from rnnbench.runs.source_hash import source_hash
from rnnbench.store.published import read_published
from rnnbench.store.record import run_id
from rnnbench.sweeps.plan import plan

ROOT = Path(__file__).parents[2]
TODAY = source_hash()


@pytest.fixture(scope="module")
def baseline():
    return {record["id"]: record for record in read_published(ROOT / "results" / "published" / "baseline")}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder with the files that the gate reads."""
    folder = tmp_path_factory.mktemp("checkout")
    gate.write_files(folder / "build/gate")
    return folder


@pytest.fixture(scope="module")
def made(checkout):
    """The plan of the gate on a machine without a compiler."""
    with contextlib.chdir(checkout):
        return plan(["experiment=baseline"])


@pytest.fixture
def runs(baseline):
    """The baseline made anew by today's source, on a clean tree."""
    return {run: record | {"source_hash": TODAY} for run, record in copy.deepcopy(baseline).items()}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A list of its own, in the place of the committed one; it has one older source."""
    path = tmp_path / "vouched.jsonl"
    path.write_text(vouched.line("0123456789ab", [vouched.Work("gru", "1", "digits", "1")]).text() + "\n")
    monkeypatch.setattr(gate, "LIST", path)
    return path


def sources(path):
    vouched.read.cache_clear()
    return list(vouched.read(path))


@pytest.mark.integration
def test_it_runs_every_listed_cell_and_every_dataset_that_needs_no_download(made):
    cells, datasets = gate.listed()
    assert {job.axes["cell"] for job in made.jobs} == set(cells)
    assert {job.dataset for job in made.jobs} == set(datasets)
    assert len(cells) >= 26
    assert {"digits", "adding", "parity", "dyck", "anbn", "moving_digits", "own_frames"} <= set(datasets)
    assert not {"mnist", "jsb"} & set(datasets), "they are downloaded"


@pytest.mark.integration
def test_what_it_runs_is_what_is_published(made, baseline):
    runs = {job.id for job in made.jobs} | {cell.run for cell in made.skipped}
    assert runs == set(baseline), "publish conf/experiment/baseline.yaml anew: make baseline"


@pytest.mark.integration
def test_without_a_compiler_it_skips_what_is_compiled_and_nothing_else(made, checkout, monkeypatch):
    """The plan of this module is of such a machine; a machine with a compiler has the very runs that are skipped."""
    assert {job.config["backend"] for job in made.jobs} == {"eager", "native", "scan"}
    (reason,) = made.skip_reasons()
    assert reason == f"backend=compiled: {toolchain.why_none()}; use backend=eager or backend=auto."
    monkeypatch.setattr(toolchain, "find", lambda: toolchain.Toolchain(("cc",), "gcc 12.2.0", ("-O3",), "x86-64"))
    with contextlib.chdir(checkout):
        whole = plan(["experiment=baseline"])
    assert whole.skipped == []
    compiled = {job.id for job in whole.jobs if job.config["backend"] == "compiled"}
    assert compiled == {cell.run for cell in made.skipped}
    assert {job.id for job in whole.jobs} - compiled == {job.id for job in made.jobs}, "no other id needs a compiler"


@pytest.mark.integration
def test_each_row_names_its_backend_and_each_cell_that_compiles_is_compiled(made):
    assert not any(job.by_rule for job in made.jobs)
    cells = {o.partition("=")[2].strip("'") for cell in made.skipped for o in cell.overrides if o.startswith("cell=")}
    assert cells == {name for name in registry.choices("cell") if registry.read("cell", name)["meta"]["compiles"]}


@pytest.mark.integration
def test_it_runs_backends_directions_peepholes_and_kinds_of_forecasts(made):
    seen = {name: {job.axes[name] for job in made.jobs} for name in ("backend", "direction", "forecast", "optimizer")}
    assert seen["backend"] >= {"native", "eager"}
    assert seen["direction"] == {"forward", "backward", "bidirectional"}
    assert seen["forecast"] == {None, "encoder_forecaster", "rollout"}
    assert seen["optimizer"] == {"adam", "adamw", "rmsprop", "sgd"}
    assert len({job.axes["peephole"] for job in made.jobs}) >= 7


def test_users_files_are_the_same_everywhere(tmp_path):
    gate.write_files(tmp_path / "build")
    film = np.load(tmp_path / "build" / "film.npy")
    assert (film.shape, film.dtype) == ((60, 16, 16), np.uint8)
    assert (int(film.sum()), int(film[7, 3, 3]), int(film[0, 0, 15])) == (716_800, 12, 60)
    assert len({frame.tobytes() for frame in film}) > 10
    contents = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "build").iterdir()}
    assert contents == {
        "film.npy": "648735ee62229bd01fa97da57c1e8e4d4f91852b5f53e30808b419f001c829ad",
        "sequences.csv": "80e1188037e58ad338aaf9f15db7f35b1a9b678e06b4b580e0ec75a107a7c659",
        "series.csv": "f50d524498c3c52681dd0b9aac108e4046401c848ed5431278bff29f02a6b896",
        "text.txt": "854d6bb367d238f67cc033a2a3d7842cd5a92ade5c62224b51e144b3de586e1b",
    }, "they are part of the ids of the baseline"


def test_a_clean_source_with_equal_bits_is_noted_for_what_it_ran(runs, baseline, written, capsys):
    assert gate.note(runs, baseline, check=False) == 0
    assert capsys.readouterr().out.startswith(f"noted: source {TODAY}; commit ")
    assert sources(written) == ["0123456789ab", TODAY]
    assert (vouched.read(written)[TODAY].cells, vouched.read(written)[TODAY].datasets) == gate.listed()
    before = written.read_bytes()
    assert gate.note(runs, baseline, check=False) == 0
    assert written.read_bytes() == before
    assert "is noted in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"git": {"commit": "0" * 40, "dirty": True}}, "not noted: the tree is not clean; commit first.\n"),
        ({"git": {"commit": None, "dirty": None}}, "not noted: the tree is not clean; commit first.\n"),
        ({"metrics": {"test/loss": 0.5}}, "not noted: 1 of {runs} runs have other bits than the baseline: another "),
        ({"status": "error"}, "not noted: 1 runs failed, "),
    ],
)
def test_what_is_not_shown_to_be_equal_is_not_noted(runs, baseline, written, capsys, change, said):
    next(iter(runs.values())).update(change)
    assert gate.note(runs, baseline, check=False) == 0
    assert said.format(runs=len(runs)) in capsys.readouterr().err
    assert sources(written) == ["0123456789ab"]


def test_a_source_whose_compiled_runs_were_skipped_is_not_noted(runs, baseline, written, capsys):
    first, *others = runs
    baseline = baseline | {first: baseline[first] | {"backend": "compiled"}}
    left = {run: runs[run] for run in others}
    assert gate.note(left, baseline, check=False) == 0
    assert f"not noted: 1 compiled runs are missing, {first} first: this machine has no" in capsys.readouterr().err
    assert sources(written) == ["0123456789ab"]


def test_a_check_fails_where_todays_source_is_not_noted_and_writes_nothing(runs, baseline, written, capsys):
    before = written.read_bytes()
    assert gate.note(runs, baseline, check=True) == 1
    assert f"source {TODAY} is not in {written}: records of before it are stale. Run `make gate` on a clean tree" in (
        capsys.readouterr().err
    )
    assert written.read_bytes() == before


def test_a_check_passes_with_other_bits_where_the_source_is_noted(runs, baseline, written, capsys):
    gate.note(runs, baseline, check=False)
    for record in runs.values():
        record["metrics"] = {"test/loss": 0.5}  # another processor: `compare` is asked whether they are worse
    before = written.read_bytes()
    assert gate.note(runs, baseline, check=True) == 0
    assert written.read_bytes() == before


def test_a_check_fails_where_the_gate_leaves_a_cell_out(runs, baseline, written, capsys):
    left = {run: record for run, record in runs.items() if record["axes"]["cell"] != "mgu"}
    published = {run: baseline[run] for run in left}
    gate.note(left, published, check=False)
    assert "mgu" not in vouched.read(written)[TODAY].cells
    assert gate.note(left, published, check=True) == 1
    assert "the gate does not run cell=mgu version 1: add a row to conf/experiment/baseline.yaml" in (
        capsys.readouterr().err
    )


def test_runs_of_two_sources_are_no_gates(runs, baseline, written):
    next(iter(runs.values()))["source_hash"] = "feedc0defeed"
    with pytest.raises(BadInput, match="made by 2 sources"):
        gate.note(runs, baseline, check=False)


class Kept:
    """A store of these records, which is published elsewhere."""

    def __init__(self, records):
        self.kept = records

    def records(self):
        return self.kept


@pytest.fixture
def publishing(tmp_path, monkeypatch, baseline):
    """The baseline is published in a folder of its own, and what is published anew is a file."""
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "records.jsonl").write_text("new\n")
    monkeypatch.setattr(gate, "PUBLISHED", tmp_path / "baseline")
    monkeypatch.setattr(gate, "publish", lambda store, name: tmp_path / "made")
    monkeypatch.setattr(gate, "_by_id", lambda folder: baseline)
    return tmp_path / "baseline" / "records.jsonl"


def test_a_baseline_with_more_runs_keeps_the_list(runs, publishing, written):
    more = copy.deepcopy(next(iter(runs.values())))
    assert gate.renew(Kept(runs | {"fff": more}), moved=False) == 0
    assert publishing.read_text() == "new\n"
    assert sources(written) == ["0123456789ab", TODAY]


@pytest.mark.parametrize("how", ["moved", "gone"])
def test_a_baseline_whose_runs_moved_or_went_is_refused_or_begins_the_list_anew(runs, publishing, written, how):
    first = next(iter(runs))
    runs = runs | {first: runs[first] | {"metrics": {"test/loss": 0.5}}}
    if how == "gone":
        del runs[first]
    with pytest.raises(BadInput, match=f"1 runs of the baseline are gone or have other bits, {first} first"):
        gate.renew(Kept(runs), moved=False)
    assert not publishing.exists()
    assert gate.renew(Kept(runs), moved=True) == 0
    assert sources(written) == [TODAY]


def test_a_source_that_is_noted_may_publish_bits_of_another_processor(runs, baseline, publishing, written):
    gate.note(runs, baseline, check=False)
    moved = {run: record | {"metrics": {"test/loss": 0.5}} for run, record in runs.items()}
    assert gate.renew(Kept(moved), moved=False) == 0
    assert sources(written) == ["0123456789ab", TODAY]


def test_a_raised_version_is_no_run_that_is_gone(runs, publishing, written, monkeypatch):
    cells, datasets = gate.listed()
    monkeypatch.setattr(gate, "listed", lambda: (cells | {"gru": "2"}, datasets))
    for run in [run for run, record in runs.items() if record["axes"]["cell"] == "gru"]:
        record = runs.pop(run)
        runs[f"new{run}"] = record | {"axes": record["axes"] | {"cell_version": 2}}
    assert gate.renew(Kept(runs), moved=False) == 0
    assert vouched.read(written)[TODAY].cells["gru"] == "2"


def test_runs_whose_ids_have_come_to_tell_what_is_in_their_film_are_not_gone(
    runs, publishing, written, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    gate.write_files(tmp_path / "build" / "gate")
    before = {run: record for run, record in runs.items() if record["dataset"]["name"] == "own_frames"}
    moved = {}
    for run, record in before.items():
        config = copy.deepcopy(record["config"])
        config["dataset"]["meta"].pop("content", None)
        runs[gate.prepare([*shlex.split(record["command"])[2:], "device=cpu"]).id] = runs.pop(run)
        moved[run_id(config)] = record | {"id": run_id(config), "config": config}
    others = {run: record for run, record in runs.items() if record["dataset"]["name"] != "own_frames"}
    monkeypatch.setattr(gate, "_by_id", lambda folder: others | moved)
    assert len(moved) == 3
    assert not moved.keys() & runs.keys()
    assert gate.renew(Kept(runs), moved=False) == 0
    assert sources(written) == ["0123456789ab", TODAY]
    first = next(iter(moved))
    moved[first] = moved[first] | {"metrics": {"test/loss": 0.5}}
    monkeypatch.setattr(gate, "_by_id", lambda folder: others | moved)
    vouched.read.cache_clear()
    gate.write_list({})
    with pytest.raises(BadInput, match=f"1 runs of the baseline are gone or have other bits, {first} first"):
        gate.renew(Kept(runs), moved=False)


def test_failed_runs_are_no_baseline(runs, publishing):
    next(iter(runs.values()))["status"] = "oom"
    with pytest.raises(BadInput, match="these runs are no baseline: 1 runs failed"):
        gate.renew(Kept(runs), moved=False)


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path, capsys):
    assert gate.main(["note", str(tmp_path)]) == 2
    said = "gate: these runs were made by 0 sources; a gate's are made by one: `make gate`.\n"
    assert capsys.readouterr().err == said
