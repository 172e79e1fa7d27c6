"""Real processes: `rnnbench run` twice, stopped, killed, without data."""

import json
import os
import random
import signal
import subprocess
import time

import pytest
from runs_tools import but_times, command, environment, finish, job, outcomes, spawn, store

from rnnbench.runs import attempts

pytestmark = pytest.mark.integration

# Long enough to be hit in the middle, a checkpoint at every validation.
LONG = ["depth=2", "depth.dropout=0.2", "schedule=cosine", "budget.updates=600", "budget.val_every=25",
        "harness.checkpoint_seconds=0"]  # fmt: skip


READ = "digits: 1,077/360/360 sequences of 8 steps, 8 features\n"  # what was read is said before training


def wait_for(path, rows, process, timeout=60):
    """Until history has so many rows."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"the run ended by itself: {process.communicate()}")
        if path.exists() and path.read_bytes().count(b"\n") >= rows:
            return
        time.sleep(0.002)
    raise AssertionError(f"no {rows} rows in {path}")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    code, _, err = finish(spawn(folder, *LONG))
    assert code == 0, err
    return folder


def check_equal(folder, unbroken):
    made = job(*LONG)
    a, b = store(folder), store(unbroken)
    assert but_times(a.read(made.id)) == but_times(b.read(made.id))
    for name in ("history.jsonl", "diagnostics.json", "best.pt"):
        assert (a.folder(made.id) / name).read_bytes() == (b.folder(made.id) / name).read_bytes(), name


def test_one_config_is_one_id_and_one_result_in_any_process_and_store(unbroken, tmp_path):
    code, out, err = finish(spawn(tmp_path, *reversed(LONG), PYTHONHASHSEED="7"))
    assert (code, err) == (0, READ)
    assert "LSTM x2" in out
    made = job(*LONG)
    records = [store(folder).read(made.id) for folder in (unbroken, tmp_path)]
    first, second = (json.dumps(r["metrics"], sort_keys=True) for r in records)
    assert first == second
    a, b = ((store(f).folder(made.id) / "history.jsonl").read_bytes() for f in (unbroken, tmp_path))
    assert a == b
    assert records[0]["started"] != "" != records[1]["started"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_it_ends_with_130_and_the_same_command_resumes(tmp_path, unbroken, number):
    made = job(*LONG)
    folder = store(tmp_path).folder(made.id)
    process = spawn(tmp_path, *LONG)
    wait_for(folder / "history.jsonl", 3, process)
    process.send_signal(number)
    code, out, err = finish(process)
    assert (code, out) == (130, "")
    assert err.startswith(f"{READ}rnnbench: interrupted: {number.name} received at update ")
    assert err.endswith("; the same command resumes.\n")
    assert err.count("\n") == 2
    assert outcomes(folder) == ["interrupted"]
    assert store(tmp_path).read(made.id) is None
    stopped_at = int(err.split("at update ")[1].split(";")[0])
    assert 75 <= stopped_at < 600
    code, _, err = finish(spawn(tmp_path, *LONG))
    assert (code, err) == (0, READ)
    record = store(tmp_path).read(made.id)
    assert record["attempts"] == 2
    check_equal(tmp_path, unbroken)


def test_killed_again_and_again_it_is_the_run_that_never_was(tmp_path, unbroken):
    made = job(*LONG)
    folder = store(tmp_path).folder(made.id)
    chance = random.Random(5)
    for rows in (1, 8):
        process = spawn(tmp_path, *LONG)
        wait_for(folder / "history.jsonl", rows, process)
        time.sleep(chance.random() * 0.05)
        process.kill()
        finish(process)
        assert attempts.look(folder)[-1].status == "killed"
    code, _, err = finish(spawn(tmp_path, *LONG))
    assert (code, err) == (0, READ)
    assert store(tmp_path).read(made.id)["attempts"] == 3
    check_equal(tmp_path, unbroken)


def test_the_command_of_the_record_when_it_is_run_finds_the_record(unbroken):
    record = store(unbroken).read(job(*LONG).id)
    env = environment(unbroken)
    done = subprocess.run(
        f"{' '.join(command())} {record['command'].removeprefix('rnnbench')}", shell=True, env=env, text=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.startswith("already recorded (")
    assert store(unbroken).read(record["id"]) == record


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["cell=lsmt"], "unknown cell 'lsmt'; did you mean lstm"),
        (["cell=gru", "peephole=on"], "cell=gru takes no peephole: "),
        (["optimizer.lr=-1"], "optimizer.lr must be a number above 0, not -1."),
        (["~clip"], "'~clip' removes what a run needs"),
    ],
)
def test_bad_input_is_one_sentence_and_2(tmp_path, overrides, sentence):
    code, out, err = finish(spawn(tmp_path, *overrides))
    assert (code, out) == (2, "")
    assert err.startswith(f"rnnbench: {sentence}")
    assert err.count("\n") == 1
    assert store(tmp_path).records() == {}


def test_missing_data_is_2_and_the_command_that_gets_it(tmp_path):
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    nowhere |= {"no_proxy": "", "NO_PROXY": ""}
    code, out, err = finish(spawn(tmp_path, "dataset=jsb", RNNBENCH_DATA=str(tmp_path / "data"), **nowhere))
    assert (code, out) == (2, "")
    path = tmp_path / "data" / "polymusic" / "JSB_Chorales.mat"
    assert err.startswith(f"rnnbench: {path} is missing and could not be downloaded (")
    assert f"run `curl --create-dirs -fLo {path} https://" in err
    assert err.count("\n") == 1
    assert outcomes(store(tmp_path).folder(job("dataset=jsb").id)) == ["refused"]


def test_a_run_that_is_being_done_is_2(tmp_path):
    made = job(*LONG)
    mine = attempts.claim(store(tmp_path).folder(made.id))
    code, _, err = finish(spawn(tmp_path, *LONG))
    assert code == 2
    assert err.startswith(
        f"rnnbench: run {made.id} (LSTM x2 h=8 [dropout=0.2] · digits · cosine · seed 0) is being done by another"
    )
    mine.close("interrupted")


def test_a_failed_run_is_1_and_retry_does_it_again(tmp_path):
    wrong = ["cell=rnn_relu", "optimizer=sgd", "optimizer.lr=1e30", "clip=null"]
    made = job(*wrong)
    assert finish(spawn(tmp_path, *wrong))[0] == 1
    assert finish(spawn(tmp_path, "--retry", *wrong))[0] == 1
    assert store(tmp_path).read(made.id)["attempts"] == 2
    assert (store(tmp_path).folder(made.id) / "record.failed-1.json").exists()


def test_a_run_prints_nothing_of_others_and_leaves_the_working_folder_clean(tmp_path):
    assert os.getcwd() == str(tmp_path)
    code, out, err = finish(spawn(tmp_path / "store", PYTHONWARNINGS="default"))
    assert (code, err) == (0, READ)
    assert out.startswith("ok  LSTM")
    assert [p.name for p in tmp_path.iterdir()] == ["store"]
    assert [p.name for p in (tmp_path / "store").iterdir()] == ["runs"]
