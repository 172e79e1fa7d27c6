"""What a sweep shows and how it says that it is over."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rnnbench.sweeps import display as display_module
from rnnbench.sweeps.display import Display, clock
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.sweep import Result, outcome_text


class Job:
    title = "RNN · digits · seed 0"


class Running:
    job = Job()

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (0.4, "0:00"), (59.6, "1:00"), (65, "1:05"), (3599.4, "59:59"), (3600, "1:00:00"), (7383, "2:03:03")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_the_eta_is_the_mean_so_far_shared_among_the_workers():
    display = Display(10, 2, Console(file=io.StringIO()))
    display.recorded = 2
    assert (display.left, display.eta()) == (8, "")
    display.finished("a", "ok", "", 50.0)
    display.finished("b", "error", "", 70.0)
    assert (display.left, display.eta()) == (6, "3:00")  # 6 runs of 60 s on 2 workers
    assert display.eta([Running(30.0), Running(500.0)]) == "2:15"  # 30 s and one whole run are done of those 6
    display.recorded = 7
    assert display.eta() == "1:00"  # the last run has one worker
    display.recorded = 8
    assert (display.left, display.eta()) == (0, "0:00")


def test_without_a_terminal_every_finished_run_is_one_line():
    said = io.StringIO()
    with Display(3, 1, Console(file=said, width=40)) as display:
        display.recorded = 1
        display.update([Running(1.0)])
        display.finished("RNN · digits · seed 0", "ok", "test/accuracy 0.9167", 1.25)
        display.finished("RNN · digits · seed 1", "diverged", "the loss is not finite at update 2", 0.75)
    assert said.getvalue().splitlines() == [
        "[2/3] ok       RNN · digits · seed 0  test/accuracy 0.9167  1.2 s  0:01 left",
        "[3/3] diverged RNN · digits · seed 1  the loss is not finite at update 2  0.8 s",
    ]
    assert (display.ok, display.failed) == (1, 1)


def test_brackets_in_a_reason_are_no_markup():
    said = io.StringIO()
    Display(1, 1, Console(file=said)).finished("LSTM [cell.forget_bias=1]", "error", "[/red] [bold]", 1.0)
    assert "LSTM [cell.forget_bias=1]  [/red] [bold]" in said.getvalue()


def test_on_a_terminal_there_is_a_bar_with_counts_and_the_running_runs(monkeypatch):
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    monkeypatch.setattr(display_module.time, "monotonic", lambda: 75.0)
    with Display(4, 2, console) as display:
        display.began = 10.0
        display.finished("a", "ok", "", 60.0)
        display.finished("b", "oom", "out of memory", 20.0)
        display.update([Running(12.0)])
        display.live.refresh()
    text = said.getvalue()
    assert "2/4 done · 1 failed · 2 left · 1:05 · ETA 0:34" in text
    assert "RNN · digits · seed 0  12 s" in text
    assert "\x1b[31m[2/4] oom" in text, "a failure is red"


def record(status="ok", reason=""):
    return {"status": status, "reason": reason, "metric": "accuracy", "metrics": {"test/accuracy": 0.91666}}


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Result(), 0),
        (Result({"a": record()}), 0),
        (Result({"a": record(), "b": record("diverged")}), 1),
        (Result({"a": record()}, {"b": "refused"}), 1),
        (Result({"a": record("error")}, interrupted=True), 130),
        (Result(interrupted=True), 130),
    ],
)
def test_exit_codes(result, code):
    assert result.exit_code == code


def test_the_summary_counts_names_failures_and_says_how_to_go_on():
    made = plan(["cell=rnn", "seed=range(4)"])
    a, b, c, d = (job.id for job in made.jobs)
    failed = record("diverged", "the loss is not finite at update 2")
    result = Result({a: record(), b: record(), c: failed}, {d: "no data"})
    assert result.summary(made) == [
        "4 runs: 2 ok, 1 diverged, 1 not finished",
        f"  diverged  {c}  RNN · digits · seed 2: the loss is not finite at update 2",
        f"  open      {d}  RNN · digits · seed 3: no data",
        "the same command resumes what is not finished",
        "--retry-failed does failed runs again",
    ]
    assert Result({a: record()}).summary(plan(["cell=rnn"])) == ["1 run: 1 ok"]
    interrupted = Result({a: record()}, {d: "not started"}, interrupted=True).summary(made)
    assert interrupted == ["4 runs: 1 ok, 1 not finished", "the same command resumes what is not finished"]


def test_the_outcome_is_the_main_figure_or_the_reason():
    assert outcome_text(record()) == "test/accuracy 0.9167"
    assert outcome_text(record("oom", "out of memory")) == "out of memory"
    without = record() | {"metrics": {"test/accuracy": None}}  # a test figure beyond a float is null in JSON
    assert outcome_text(without) == "test/accuracy not finite"
