"""One run in this process: its record key by key, every way it can end, and what it leaves behind."""

import json
import math
import re
import shlex
import signal
import threading
from datetime import UTC, datetime

import pytest
import torch
import yaml
from runs_tools import SMALL, StopAt, but_times, job, outcomes, store

import rnnbench
from rnnbench.errors import BadInput, MissingData
from rnnbench.runs import attempts, build, checkpoint
from rnnbench.runs import run as runs
from rnnbench.runs.plan import prepare
from rnnbench.runs.recording import make_record, record_from_outside
from rnnbench.runs.source_hash import source_hash
from rnnbench.runs.watch import ProgressLine, StopRequest
from rnnbench.store import record as record_module
from rnnbench.store.record import KEYS, run_id
from rnnbench.store.store import Store
from rnnbench.training import Interrupted
from rnnbench.training.evaluate import evaluate

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run: (job, store, record). Tests read it only."""
    folder = tmp_path_factory.mktemp("done")
    made = job("cell=lstm", "peephole=on", "depth=2", "depth.dropout=0.1", "seed=3")
    return made, store(folder), runs.attempt(made, store(folder))


def number(low=-math.inf):
    return lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and low <= v < math.inf


def whole(low=0):
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= low


def text(pattern=".+"):
    return lambda v: isinstance(v, str) and re.fullmatch(pattern, v, re.DOTALL) is not None


def mapping(**inner):
    """An object with exactly these keys, each as its check has it."""
    return lambda v: isinstance(v, dict) and v.keys() == inner.keys() and all(inner[k](v[k]) for k in inner)


def table(check):
    """An object with any keys, at least one."""
    return lambda v: isinstance(v, dict) and len(v) > 0 and all(isinstance(k, str) and check(v[k]) for k in v)


TIME = text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
NORMS = {"median", "p99", "max", "share_above_10x_median", "first_non_finite"}
BY_LAYER = ("h_grad_norm", "cell_state_max", "saturation", "peephole_abs")
SCHEMA = {
    "schema_version": lambda v: v == 1,
    "id": text("[0-9a-f]{12}"),
    "status": text("ok|diverged|oom|timeout|error|pruned|killed"),
    "reason": lambda v: isinstance(v, str),
    "axes": mapping(
        label=text(), cell=text(), cell_version=whole(1), operator=text(), peephole=text(), direction=text(),
        depth=whole(1), hidden_size=whole(1), params_budget=lambda v: v is None, encoder=text(), head=text(),
        forecast=lambda v: v is None,
        backend=text("eager|native|compiled"), optimizer=text(), schedule=text(), options=lambda v: isinstance(v, dict),
    ),
    "dataset": mapping(name=text(), version=whole(1), protocol=text(), data_hash=text("[0-9a-f]{16}")),
    "seed": whole(),
    "budget": mapping(name=text(), updates=whole(1), batch_size=whole(1)),
    "metrics": table(number()),
    "metric": text(),
    "goal": text("max|min"),
    "best_step": whole(1),
    "floors": table(number()),
    "floor": text(),
    "target": number(),
    "target_source": text(),
    "params": whole(1),
    "live_params": whole(1),
    "state_size": whole(1),
    "flops_per_step": whole(1),
    "diagnostics": lambda v: v["grad_norm"].keys() == NORMS and v.keys() <= {"grad_norm", *BY_LAYER},
    "updates": whole(1),
    "train_seconds": number(0),
    "wall_seconds": number(0),
    "steps_per_second": number(0),
    "peak_memory_mb": number(10),
    "device": text("cpu|cuda"),
    "precision": text("32|bf16"),
    "backend": text("eager|native|compiled"),
    "threads": whole(1),
    "deterministic": lambda v: v is True,
    "host": mapping(
        cpu=text(), simd=text(), system=text(), malloc_tuned=lambda v: isinstance(v, bool),
        omp_wait_policy=lambda v: v is None or isinstance(v, str),
    ),
    "git": mapping(
        commit=lambda v: v is None or text("[0-9a-f]{40}")(v), dirty=lambda v: v is None or isinstance(v, bool)
    ),
    "source_hash": text("[0-9a-f]{12}"),
    "packages": table(text()),
    "attempts": whole(1),
    "started": TIME,
    "finished": TIME,
    "command": text("rnnbench run .*"),
    "config": lambda v: isinstance(v, dict),
    "own_source": lambda v: v is None or table(text("[0-9a-f]{12}"))(v),
    "solved": lambda v: v is None,  # of digits; of a task that can be solved: below
}  # fmt: skip


def test_the_schema_here_has_every_documented_key():
    assert list(SCHEMA) == list(KEYS)
    assert not [key for key in KEYS if key not in record_module.__doc__]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_a_record_is_there_and_of_its_type(done, key):
    made, kept, record = done
    assert SCHEMA[key](record[key]), record[key]
    assert SCHEMA[key](json.loads(kept.record_path(made.id).read_text())[key])


def test_the_record_says_from_where_on_a_task_is_solved_unless_a_floor_reaches_it():
    made = job("dataset=adding")
    spec = build.make_task(made.config).spec
    floored = {floor: make_record(made, "ok", {"reason": "", "spec": spec, "floors": {"mean": floor}}, [], 1.0)
               for floor in (1 / 6, 0.001)}  # fmt: skip
    assert {floor: record["solved"] for floor, record in floored.items()} == {1 / 6: 0.01, 0.001: None}
    assert make_record(made, "error", {"reason": "it never loaded"}, [], 1.0)["solved"] is None


def test_peak_memory_is_that_of_training_and_test_not_of_the_diagnostics(tmp_path, monkeypatch):
    peak = {"now": 100.0}
    diagnose = runs.gradient_diagnostics

    def costly(*args):
        peak["now"] = 900.0
        return diagnose(*args)

    monkeypatch.setattr(runs, "gradient_diagnostics", costly)
    monkeypatch.setattr(runs.host, "peak_memory_mb", lambda device: peak["now"])
    assert runs.attempt(job("cell=rnn"), store(tmp_path))["peak_memory_mb"] == 100.0
    assert peak["now"] == 900.0


def test_a_record_says_what_was_done(done):
    made, kept, record = done
    assert record == kept.read(made.id)
    assert set(record) == set(KEYS)
    assert (record["status"], record["reason"], record["id"]) == ("ok", "", made.id)
    assert record["axes"]["label"] == "LSTM x2 +peephole h=8 [dropout=0.1]"
    assert record["axes"]["hidden_size"] == 8
    assert record["budget"] == {"name": "smoke", "updates": 12, "batch_size": 32}
    assert set(record["metrics"]) == {"val/loss", "val/accuracy", "test/loss", "test/accuracy"}
    assert record["updates"] == 12
    assert record["best_step"] in (5, 10, 12)
    assert (record["device"], record["backend"], record["attempts"]) == ("cpu", "eager", 1)
    layer = 4 * (8 * 8 + 8 * 8 + 2 * 8) + 3 * 8
    assert record["params"] == record["live_params"] == 2 * layer + 8 * 10 + 10
    assert record["state_size"] == 2 * 2 * 8
    assert record["steps_per_second"] == pytest.approx(record["updates"] / record["train_seconds"])
    assert record["train_seconds"] < record["wall_seconds"]
    assert record["floors"]["chance"] == 0.1
    assert run_id(record["config"]) == record["id"]


def test_times_are_those_of_the_run(done):
    _, _, record = done
    started, finished = (datetime.fromisoformat(record[key]) for key in ("started", "finished"))
    assert started <= finished <= datetime.now(UTC)
    assert (finished - started).total_seconds() <= record["wall_seconds"] + 1


def test_the_best_values_are_those_of_history(done):
    made, kept, record = done
    history = kept.history(made.id)
    assert [row["step"] for row in history] == [5, 10, 12]
    best = max(history, key=lambda row: row["val/accuracy"])
    assert record["best_step"] == best["step"]
    for name in ("val/loss", "val/accuracy"):
        assert record["metrics"][name] == best[name]


def test_what_a_run_leaves_in_its_folder(done):
    made, kept, _record = done
    folder = kept.folder(made.id)
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names == {
        "config.yaml", "history.jsonl", "record.json", "best.pt", "diagnostics.json", "samples.npz", "outcomes.npz",
        "attempts/001/claim.json", "attempts/001/heartbeat", "attempts/001/outcome.json",
    }  # fmt: skip
    assert outcomes(folder) == ["ok"]
    curves = json.loads((folder / "diagnostics.json").read_text())
    assert set(curves["h_grad_norm"]) == {"stack.layers.0", "stack.layers.1"}
    assert len(curves["h_grad_norm"]["stack.layers.0"]) == 8
    assert set(curves["grad_norm"]) == set(checkpoint.load(folder / "best.pt"))


def test_the_config_file_is_the_resolved_config_with_its_command(done):
    made, kept, _ = done
    written = (kept.folder(made.id) / "config.yaml").read_text()
    assert yaml.safe_load(written) == made.config
    title, command = written.splitlines()[:2]
    assert (title, command) == (f"# {made.title}", f"# {made.command}")


def test_the_command_of_a_record_asks_for_the_same_run(done):
    _, _, record = done
    words = shlex.split(record["command"])
    assert words[:2] == ["rnnbench", "run"]
    again = prepare(words[2:])
    assert again.id == record["id"]
    assert again.command == record["command"]


def test_the_loaded_network_gives_the_test_metric_of_the_record(done):
    made, kept, record = done
    model = rnnbench.load_model(made.id[:6], results=kept.root.parent)
    assert not model.training
    task = build.make_task(record["config"])
    data = task.load()
    tested = evaluate(model, task, data.test)
    validated = evaluate(model, task, data.val)
    assert {f"test/{k}": v for k, v in tested.items()} | {f"val/{k}": v for k, v in validated.items()} == record[
        "metrics"
    ]


def test_a_recorded_run_is_returned_and_not_repeated(done, monkeypatch):
    made, kept, record = done
    monkeypatch.setattr(runs, "attempt", None)
    assert rnnbench.run(made.overrides, results=kept.root.parent) == record


def test_done_between_the_look_and_the_claim_it_is_not_repeated(done, monkeypatch):
    made, kept, record = done
    monkeypatch.setattr(runs, "_execute", None)
    assert runs.attempt(made, kept) == record
    last = attempts.look(kept.folder(made.id))[-1]
    assert (last.status, last.reason) == ("ok", "already recorded")


# The front door of the package.


def test_run_and_records_as_documented(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBENCH_RESULTS", str(tmp_path / "mine"))
    assert rnnbench.records().empty
    few = [o for o in SMALL if not o.startswith("tracker")]
    a = rnnbench.run([*few, "cell=gru"])
    b = rnnbench.run([*few, "cell=rnn", "seed=1"])
    table = rnnbench.records()
    assert sorted(table["id"]) == sorted([a["id"], b["id"]])
    assert set(table["status"]) == {"ok"}
    assert not list((tmp_path / "mine").rglob("wandb"))  # no tracker unless asked for
    assert rnnbench.load_model(a["id"]).output.out_features == 10
    elsewhere = rnnbench.run([*few, "cell=gru"], results=tmp_path / "other")
    assert elsewhere["metrics"] == a["metrics"]
    assert len(rnnbench.records(tmp_path / "other")) == 1


def test_run_takes_a_tracker_where_one_is_named(tmp_path):
    record = rnnbench.run([*SMALL[:-2], "device=cpu", "tracker=wandb", "tracker.mode=disabled"], results=tmp_path)
    assert record["config"]["tracker"]["name"] == "wandb"
    assert record["id"] == job().id


def test_bad_input_leaves_nothing(tmp_path):
    with pytest.raises(BadInput):
        rnnbench.run(["cell=lsmt"], results=tmp_path)
    assert list(tmp_path.iterdir()) == []


# How it can end.


def broken(monkeypatch, error, after=1):
    """Training raises this error after so many updates."""
    plain, calls = runs.RunHooks.progress, []

    def progress(self, update, row):
        plain(self, update, row)
        calls.append(update)
        if len(calls) >= after:
            raise error

    monkeypatch.setattr(runs.RunHooks, "progress", progress)


def failed(tmp_path, *overrides):
    """The record of a run that fails, checked for what every failure has."""
    made, kept = job(*overrides), store(tmp_path)
    record = runs.attempt(made, kept)
    folder = kept.folder(made.id)
    assert record == kept.read(made.id)
    assert set(record) == set(KEYS)
    assert record["status"] != "ok"
    assert record["reason"]
    assert "\n" not in record["reason"]
    assert outcomes(folder) == [record["status"]]
    assert "Traceback" in (folder / "attempts" / "001" / "traceback.txt").read_text()
    assert not (folder / "last.ckpt").exists()
    assert not any(key.startswith("test/") for key in record["metrics"])
    for key in ("params", "data_hash", "floors"):  # known before it failed
        assert record["dataset"][key] if key == "data_hash" else record[key]
    with pytest.raises(BadInput, match=rf"^run {made.id} ended as {record['status']} \("):
        runs.load_model(made.id, results=tmp_path)
    return record


def test_it_diverges(tmp_path):
    record = failed(tmp_path, "cell=rnn_relu", "optimizer=sgd", "optimizer.lr=1e30", "clip=null")
    assert record["status"] == "diverged"
    assert re.fullmatch(r"(the loss|the gradient.*) is not finite at update \d+", record["reason"])
    assert record["updates"] == int(record["reason"].split()[-1]) - 1


def test_its_time_is_over(tmp_path):
    record = failed(tmp_path, "harness.timeout=1e-6")
    assert (record["status"], record["updates"]) == ("timeout", 1)
    assert record["reason"] == "the time limit is over at update 1"


def test_it_fails_by_an_error(tmp_path, monkeypatch):
    broken(monkeypatch, ZeroDivisionError("by\nzero"), after=7)
    record = failed(tmp_path)
    assert record["status"] == "error"
    assert re.fullmatch(r"ZeroDivisionError: by zero \(test_runs_record\.py:\d+\)", record["reason"])
    assert record["updates"] == 7


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
)
def test_it_runs_out_of_memory(tmp_path, monkeypatch, error):
    broken(monkeypatch, error)
    record = failed(tmp_path)
    assert record["status"] == "oom"
    assert record["reason"] == (str(error) or "out of memory")


def test_it_really_runs_out_of_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(runs.RunHooks, "progress", lambda *a: torch.empty(2**60))
    record = failed(tmp_path)
    assert record["status"] == "oom"


def test_a_failed_run_is_not_repeated_and_can_be(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        broken(patched, ZeroDivisionError("once"))
        record = failed(tmp_path)
    assert runs.run(job().overrides, results=tmp_path) == record
    Store.open(tmp_path).set_aside(job().id)
    again = runs.run(job().overrides, results=tmp_path)
    assert (again["status"], again["attempts"]) == ("ok", 2)
    assert [row["step"] for row in store(tmp_path).history(job().id)] == [5, 10, 12]


def test_a_retry_has_all_its_time_again(tmp_path):
    """What attempts before the failure took is not taken from the limit of the retry."""
    made, kept = job("harness.timeout=50"), store(tmp_path)
    for status in ("interrupted", "timeout"):
        attempts.claim(kept.folder(made.id)).close(status)
    for path in kept.folder(made.id).glob("attempts/*/outcome.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 100.0}))
    assert runs.attempt(made, kept)["status"] == "ok"


def test_the_time_limit_is_over_all_attempts(tmp_path):
    made, kept = job("harness.timeout=50"), store(tmp_path)
    for _ in range(2):
        attempts.claim(kept.folder(made.id)).close("interrupted")
    for path in kept.folder(made.id).glob("attempts/*/outcome.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 30.0}))
    record = runs.attempt(made, kept)
    assert (record["status"], record["attempts"]) == ("timeout", 3)
    assert record["wall_seconds"] > 60


REFUSED = [
    (["cell.biases=7"], "cell=lstm: biases must be"),
    (["dataset.view=foo"], "dataset.view must be one of"),
    (["+optimizer.foo=1"], "optimizer=adam: "),
    (["+schedule.foo=1", "schedule=step"], "schedule=step: "),
    (["hidden_size=null", "params=1"], "params=1 is too few"),
]


@pytest.mark.parametrize(("overrides", "sentence"), REFUSED)
def test_what_cannot_be_built_is_refused_and_not_recorded(tmp_path, overrides, sentence):
    made, kept = job(*overrides), store(tmp_path)
    for _ in range(2):  # and leaves nothing that is in the way the next time
        with pytest.raises(BadInput, match=f"^{re.escape(sentence)}"):
            runs.attempt(made, kept)
    assert kept.read(made.id) is None
    assert outcomes(kept.folder(made.id)) == ["refused", "refused"]
    with pytest.raises(BadInput, match=r"is not finished; only a run that ended ok has weights"):
        runs.load_model(made.id, results=tmp_path)


def test_a_trackers_wrong_option_is_refused_and_does_not_hold_the_run(tmp_path):
    kept = store(tmp_path)
    wrong = prepare([*SMALL, "tracker=wandb", "tracker.mode=sometimes"])
    for _ in range(2):
        with pytest.raises(BadInput, match="sometimes"):
            runs.attempt(wrong, kept)
    assert attempts.claim(kept.folder(wrong.id)) is not None


def test_missing_data_is_refused_with_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "data"))

    def offline(*args, **kwargs):
        raise ConnectionError("no network in tests")

    monkeypatch.setattr("pooch.retrieve", offline)
    with pytest.raises(MissingData, match="curl"):
        runs.attempt(job("dataset=jsb"), store(tmp_path))
    assert store(tmp_path).records() == {}


def test_a_run_that_another_process_does_is_busy(tmp_path):
    made, kept = job(), store(tmp_path)
    other = attempts.claim(kept.folder(made.id))
    with pytest.raises(runs.Busy, match=rf"^run {made.id} \(LSTM h=8 · digits · seed 0\) is being done"):
        runs.attempt(made, kept)
    assert isinstance(runs.Busy(), BadInput)
    other.close("interrupted")
    assert runs.attempt(made, kept)["attempts"] == 2


def test_no_such_run(tmp_path):
    with pytest.raises(BadInput, match="no run 'abc'"):
        runs.load_model("abc", results=tmp_path)


def test_weights_that_are_damaged_are_said_to_be(tmp_path, done):
    made, _kept, record = done
    target = store(tmp_path)
    target.write(record)
    for content in (None, b"torn"):
        if content:
            (target.folder(made.id) / "best.pt").write_bytes(content)
        with pytest.raises(
            BadInput,
            match=rf"best\.pt is missing or damaged; move .* and make the run again: {re.escape(record['command'])}$",
        ):
            runs.load_model(made.id, results=tmp_path)


def test_a_run_that_only_ever_died_is_recorded_by_who_saw_it(tmp_path):
    made, kept = job(), store(tmp_path)
    for n in (1, 2):
        attempts.claim(kept.folder(made.id)).close("killed", f"death {n}")
    record = record_from_outside(made, kept, "killed", "died 2 times")
    assert record == kept.read(made.id)
    assert set(record) == set(KEYS)
    assert (record["status"], record["reason"], record["attempts"]) == ("killed", "died 2 times", 2)
    assert (record["metrics"], record["params"], record["updates"]) == ({}, None, None)
    assert record["axes"]["hidden_size"] == 8


# Interrupted and resumed.


OPTIONS = ["cell=lstm", "peephole=on", "depth=2", "depth.dropout=0.3", "schedule=onecycle", "optimizer=rmsprop"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    made = job(*OPTIONS)
    return runs.attempt(made, store(folder)), (store(folder).folder(made.id) / "history.jsonl").read_bytes()


def check_equal(kept, made, record, unbroken):
    whole, history = unbroken
    assert but_times(record) == but_times(whole)
    assert (kept.folder(made.id) / "history.jsonl").read_bytes() == history


@pytest.mark.parametrize("after", [0, 1])
def test_interrupted_while_it_is_prepared_nothing_is_trained(tmp_path, unbroken, after):
    made, kept = job(*OPTIONS), store(tmp_path)
    with pytest.raises(Interrupted, match=r"^the test while it was being prepared$"):
        runs.attempt(made, kept, stop=StopAt(after))
    folder = kept.folder(made.id)
    assert outcomes(folder) == ["interrupted"]
    assert not (folder / "history.jsonl").exists()
    check_equal(kept, made, runs.attempt(made, kept), unbroken)


@pytest.mark.parametrize("after", [2, 5, 6, 7, 10, 11, 12])
def test_interrupted_and_resumed_is_the_unbroken_record(tmp_path, unbroken, after):
    made, kept = job(*OPTIONS), store(tmp_path)
    with pytest.raises(Interrupted, match=r"^the test at update \d+$"):
        runs.attempt(made, kept, stop=StopAt(after))
    folder = kept.folder(made.id)
    assert outcomes(folder) == ["interrupted"]
    assert (folder / "last.ckpt").exists()
    assert kept.read(made.id) is None
    record = runs.attempt(made, kept)
    assert record["attempts"] == 2
    assert not (folder / "last.ckpt").exists()
    check_equal(kept, made, record, unbroken)


def test_interrupted_again_and_again(tmp_path, unbroken):
    made, kept = job(*OPTIONS), store(tmp_path)
    for _ in range(11):
        with pytest.raises(Interrupted):
            runs.attempt(made, kept, stop=StopAt(2))
    record = runs.attempt(made, kept)
    assert record["attempts"] == 12
    check_equal(kept, made, record, unbroken)


@pytest.mark.parametrize("damage", [b"", b"torn", None])
def test_with_a_damaged_checkpoint_it_says_so_and_starts_over(tmp_path, unbroken, damage, capsys):
    made, kept = job(*OPTIONS), store(tmp_path)
    with pytest.raises(Interrupted):
        runs.attempt(made, kept, stop=StopAt(7))
    path = kept.folder(made.id) / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-1000] if damage is None else damage)
    check_equal(kept, made, runs.attempt(made, kept), unbroken)
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "last.ckpt" in line]
    assert said.startswith(f"rnnbench: {path} cannot be read, and is left out (")
    assert said.endswith("): starting over")


def test_with_a_checkpoint_of_other_source_it_starts_over(tmp_path, unbroken, capsys):
    made, kept = job(*OPTIONS), store(tmp_path)
    with pytest.raises(Interrupted):
        runs.attempt(made, kept, stop=StopAt(7))
    path = kept.folder(made.id) / "last.ckpt"
    state = checkpoint.load(path)
    assert state["source_hash"] == source_hash()
    checkpoint.save(path, {"source_hash": "0123456789ab"})  # nothing in it that could be gone on with
    check_equal(kept, made, runs.attempt(made, kept), unbroken)
    assert "has changed since the checkpoint was written: starting over" in capsys.readouterr().err


@pytest.mark.parametrize("extra", ['{"step": 12, "val/loss": 1.0}\n', '{"step": 1', "\n\n"])
def test_history_written_after_the_checkpoint_is_written_anew(tmp_path, unbroken, extra):
    made, kept = job(*OPTIONS), store(tmp_path)
    with pytest.raises(Interrupted):
        runs.attempt(made, kept, stop=StopAt(7))
    with (kept.folder(made.id) / "history.jsonl").open("a") as file:
        file.write(extra)
    check_equal(kept, made, runs.attempt(made, kept), unbroken)


def test_the_same_config_gives_the_same_record_twice(tmp_path, unbroken):
    check_equal(store(tmp_path), job(*OPTIONS), runs.attempt(job(*OPTIONS), store(tmp_path)), unbroken)


def test_a_run_may_be_done_in_a_thread(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(runs.attempt(job(), store(tmp_path))))
    thread.start()
    thread.join()
    assert found[0]["status"] == "ok"


def test_signals_ask_once_and_are_given_back():
    stop, before = StopRequest(), {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    with stop.on_signals():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.reason == "SIGTERM received"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert {n: signal.getsignal(n) for n in before} == before
    stop.ask("later")
    assert stop.reason == "SIGTERM received"


def test_a_second_ctrl_c_ends_at_once_and_the_run_stays_open(tmp_path, monkeypatch):
    plain = runs.RunHooks.progress

    def progress(self, update, row):
        plain(self, update, row)
        if update == 7:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(runs.RunHooks, "progress", progress)
        with pytest.raises(KeyboardInterrupt):
            runs.attempt(job(), store(tmp_path))
    assert outcomes(store(tmp_path).folder(job().id)) == ["interrupted"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert runs.attempt(job(), store(tmp_path))["status"] == "ok"


class Screen:
    """A terminal that remembers."""

    def __init__(self, tty):
        self.tty, self.text = tty, ""

    def isatty(self):
        return self.tty

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_the_progress_line_is_for_terminals(monkeypatch):
    quiet, loud = Screen(False), Screen(True)
    clock = iter(range(100))
    monkeypatch.setattr("rnnbench.runs.watch.time.monotonic", lambda: next(clock))
    for screen in (quiet, loud):
        line = ProgressLine("GRU · digits · seed 0", 100, "accuracy", screen)
        line.show(10, {})
        line.show(20, {"val/accuracy": 0.5})
        line.clear()
    assert quiet.text == ""
    assert "GRU · digits · seed 0  10/100" in loud.text
    assert "20/100  val/accuracy 0.5  8 s left" in loud.text
    assert loud.text.endswith("\r\x1b[2K")


def test_own_output_goes_to_the_attempts_folder(tmp_path, capfd, monkeypatch):
    """As a sweep's worker has it; the test puts its descriptors back."""
    import os

    kept = [os.dup(1), os.dup(2)]
    try:
        monkeypatch.setattr(runs.RunHooks, "progress", lambda *a: os.write(1, b"from C\n") and None)
        runs.attempt(job(), store(tmp_path), own_output=True)
    finally:
        for n, saved in enumerate(kept, start=1):
            os.dup2(saved, n)
            os.close(saved)
    out = (store(tmp_path).folder(job().id) / "attempts" / "001" / "stdout.txt").read_text()
    assert out == "from C\n" * 12
    assert capfd.readouterr().out == ""
