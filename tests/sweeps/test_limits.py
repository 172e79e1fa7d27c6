"""When a sweep stops by itself, and how its limits are written."""

from __future__ import annotations

import pytest

from rnnbench.errors import BadInput
from rnnbench.sweeps import limits
from rnnbench.sweeps.limits import Brakes, Limit, Limits, as_memory, duration, memory


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("4h", 14400), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800),
                          ("45", 45), ("10min", 600)],
)  # fmt: skip
def test_a_duration(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "h", "-3m", "4 weeks", "1h30", "20mm", "nan", "9" * 400])
def test_no_duration(text):
    with pytest.raises(BadInput, match="is no duration above 0: write it as 90s, 20m or 4h"):
        duration(text)


@pytest.mark.parametrize(("text", "size"), [("4G", 2**32), ("500M", 500 * 2**20), ("1.5g", 3 * 2**29), ("2GiB", 2**31)])
def test_a_size(text, size):
    assert memory(text) == size


@pytest.mark.parametrize("text", ["", "4", "0G", "-1G", "4 apples", "9" * 400 + "T"])
def test_no_size(text):
    with pytest.raises(BadInput, match="is no size above 0: write it as 500M or 4G"):
        memory(text)


def test_a_size_in_words():
    assert (as_memory(2**32), as_memory(300 * 2**20)) == ("4G", "300M")


def test_a_limit_is_a_time_or_a_number_of_runs():
    assert (Limit.read("4h").seconds, Limit.read("4h").runs) == (14400, None)
    assert (Limit.read("200runs").seconds, Limit.read("200runs").runs) == (None, 200)
    assert Limit.read("1 run").runs == 1
    with pytest.raises(BadInput, match="'soon' is no limit: write a duration"):
        Limit.read("soon")
    with pytest.raises(BadInput, match="0 runs"):
        Limit.read("0runs")


def record(status):
    return {"status": status, "reason": "why"}


def test_so_many_runs_are_started_and_no_more():
    brakes = Brakes(Limits(limit=Limit.read("2runs")))
    assert not brakes.takes_no_more
    brakes.started += 2
    assert brakes.takes_no_more
    assert brakes.time_is_over() is None


def test_the_time_of_a_sweep(monkeypatch):
    brakes = Brakes(Limits(limit=Limit.read("10m")))
    assert brakes.time_is_over() is None
    monkeypatch.setattr(limits.time, "monotonic", lambda: brakes.began + 600)
    assert brakes.time_is_over() == "the time of --limit 10m is over"
    assert not brakes.takes_no_more


def test_so_many_failures():
    brakes = Brakes(Limits(max_failures=2))
    for status in ("ok", "pruned", "diverged", "ok"):
        brakes.ended(record(status), 100.0)
        assert brakes.too_many_failures("why") is None
    brakes.ended(record("timeout"), 100.0)
    assert brakes.too_many_failures("why") == "--max-failures 2 is reached; at last: why"


def failures(brakes, statuses, seconds=1.0):
    for status in statuses:
        brakes.ended(record(status), seconds)
    return brakes.too_many_failures("why")


def test_failures_at_once_in_a_row_with_nothing_done():
    assert failures(Brakes(Limits()), ["error"] * 9) is None
    assert failures(Brakes(Limits()), ["error", "refused"] * 5) == (
        "10 runs in a row failed at once and none succeeded; at last: why"
    )
    assert failures(Brakes(Limits()), ["error"] * 9 + ["diverged"] + ["error"] * 9) is None, "not in a row"
    assert failures(Brakes(Limits()), ["ok"] + ["error"] * 20) is None, "something can succeed"
    assert failures(Brakes(Limits()), ["diverged"] * 20) is None, "that is a result"
    assert failures(Brakes(Limits()), ["error"] * 20, seconds=6.0) is None, "not at once"
