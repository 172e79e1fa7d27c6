"""`rnnbench wandb push` and the words of `wandb agent`."""

from __future__ import annotations

import pytest

from reports.synthetic import fill_store, make_records
from rnnbench.cli import main, parser_of_all
from rnnbench.cli.tracking import agent_words
from rnnbench.store.store import Store, write_atomic
from rnnbench.tracking import push as pushing
from rnnbench.tracking.push import Pushed, WandbMirror

OPTIONS = ["--results", "--config-dir", "--retry", "-h", "--help"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Six made-up records in results/, four of them of a sweep."""
    for name in ("RNNBENCH_RESULTS", "RNNBENCH_CONFIG_DIR", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    made = fill_store(Store.open(tmp_path / "results"), make_records(("rnn", "lstm", "gru"), range(2)))
    (tmp_path / "results" / "sweeps").mkdir()
    listed = ", ".join(f'"{run}"' for run in made.ids()[:4])
    text = f'{{"command": "rnnbench sweep", "runs": [{listed}], "skipped": []}}'
    write_atomic(tmp_path / "results" / "sweeps" / "mine.json", text)
    write_atomic(tmp_path / "results" / "sweeps" / "0123456789ab.json", text)
    return made


@pytest.fixture
def pushed(monkeypatch):
    """What would be pushed, and how."""
    calls = []

    def take(mirrored, results, **how):
        calls.append((list(mirrored), how))
        return Pushed(len(calls[-1][0]), 0, 0, how.pop("error", None))

    monkeypatch.setattr(pushing, "push", take)
    return calls


def test_everything_is_pushed_with_its_sweep_as_group(store, pushed, capsys):
    assert main(["wandb", "push"]) == 0
    ((mirrored, how),) = pushed
    assert {one.record["id"]: one.group for one in mirrored} == {
        run: "mine" if run in store.ids()[:4] else None for run in store.ids()
    }
    assert how == {"project": "rnnbench", "entity": None, "mode": None}
    assert capsys.readouterr().out == "6 pushed, 0 were there already\n"


def test_a_selection_is_a_sweep_or_the_beginning_of_an_id_and_each_run_once(store, pushed):
    last = store.ids()[-1]
    assert (
        main(["wandb", "push", "mine", last[:10], "mine", "--mode", "online", "--project", "p", "--entity", "e"]) == 0
    )
    ((mirrored, how),) = pushed
    assert [one.record["id"] for one in mirrored] == [*store.ids()[:4], last]
    assert how == {"project": "p", "entity": "e", "mode": "online"}


def test_what_stops_a_push_is_one_sentence_and_exit_code_1(store, monkeypatch, capsys):
    monkeypatch.setattr(pushing, "push", lambda *_, **__: Pushed(2, 1, 3, "CommError: no key"))
    assert main(["wandb", "push"]) == 1
    said = capsys.readouterr()
    assert said.out == "2 pushed, 1 were there already, 3 left\n"
    assert said.err == "rnnbench: W&B did not take the next run (CommError: no key); the same command goes on.\n"


@pytest.mark.integration
def test_tables_of_a_selection_are_one_run(store, monkeypatch, capsys):
    went = []
    monkeypatch.setattr(WandbMirror, "push_tables", lambda mirror, run, name, tables, *_: went.append((name, tables)))
    assert main(["wandb", "tables", "status=ok"]) == 0
    ((name, tables),) = went
    assert name == "tables · status=ok"
    assert {"leaderboard", "tasks", "cost", "coverage"} <= set(tables)
    columns, rows = tables["leaderboard"]
    assert "mean" in columns
    assert all(len(row) == len(columns) for row in rows)
    assert "leaderboard" in capsys.readouterr().out
    assert main(["wandb", "tables", "status=ok"]) == 0
    assert "there already" in capsys.readouterr().out
    assert main(["wandb", "tables", "cell=nothing"]) == 2


def test_nothing_to_push_and_unknown_names_are_bad_input(tmp_path, monkeypatch, capsys, store):
    assert main(["wandb", "push", "nobody"]) == 2
    assert main(["wandb", "push", "--results", str(tmp_path / "empty")]) == 2
    assert "`rnnbench run` makes a first one" in capsys.readouterr().err


def test_what_an_agent_says_are_overrides():
    words = ["run", "--optimizer.lr=0.01", "--cell=lstm", "--clip=None", "--peephole=True", "--retry", "--results=r",
             "dataset=digits", "--note=True", "params=None", "direction=False", "note=False"]  # fmt: skip
    assert agent_words(words, OPTIONS) == [
        "run", "optimizer.lr=0.01", "cell=lstm", "clip=null", "peephole=on", "--retry", "--results=r",
        "dataset=digits", "note=True", "params=null", "direction=off", "note=False",
    ]  # fmt: skip


@pytest.mark.integration
def test_the_forms_that_wandb_itself_makes_give_one_run():
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils", exc_type=ImportError)
    asked = {"optimizer.lr": 0.01, "cell": "lstm", "peephole": False, "seed": 3, "clip": None}
    forms = utils.create_sweep_command_args({"args": {key: {"value": value} for key, value in asked.items()}})
    hyphens = agent_words(["run", *forms["args"]], parser_of_all().options("run"))
    assert hyphens == ["run", "optimizer.lr=0.01", "cell=lstm", "peephole=off", "seed=3", "clip=null"]
    assert agent_words(["run", *forms["args_no_hyphens"]], parser_of_all().options("run")) == hyphens


def test_only_run_takes_them(capsys):
    with pytest.raises(SystemExit) as end:
        main(["sweep", "--cell=lstm"])
    assert end.value.code == 2
    assert "unrecognized arguments: --cell=lstm" in capsys.readouterr().err


@pytest.mark.integration
def test_a_run_as_the_agent_starts_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", "")
    words = ["--cell=gru", "--budget=smoke", "--budget.updates=4", "--hidden_size=4", "--tracker=none", "--seed=1"]
    assert main(["run", *words, "--results", "r"]) == 0
    (record,) = Store.open("r").iterate()
    assert (record["axes"]["cell"], record["seed"], record["budget"]["updates"]) == ("gru", 1, 4)
    assert "GRU" in capsys.readouterr().out
