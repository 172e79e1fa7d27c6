"""Some hundred command lines, made at random: each ends, with one of the four exit codes and without a traceback."""

from __future__ import annotations

import contextlib
import io
import random
import signal
import traceback

import pytest

from rnnbench.cli import main, parser_of_all
from rnnbench.errors import BadInput
from rnnbench.runs import build, compose, registry
from rnnbench.runs.axes import leaves
from rnnbench.sweeps.limits import Brakes
from rnnbench.sweeps.sweep import Result, Sweep

LINES, SECONDS = 480, 60
CODES = {0, 1, 2, 130}
PARSER = parser_of_all()
OF_RUNS = ("run", "plan", "sweep", "tune")
# By how many names they take. `serve` and `claims` are left out: the one would serve, the other takes long.
OTHERS = {
    "list": 1, "show": 1, "retry": 1, "stop": 1, "clean": 0, "search": 1, "status": 1, "diff": 2, "merge": 1,
    "leaderboard": 2, "ablation": 1, "frames": 1, "publish": 1, "verify": 1, "tables": 1, "compare": 2,
    "report": 1, "wandb": 2,
}  # fmt: skip
LEFT_OUT = {"--watch", "--detach", "--executor", "--help", "--results", "--config-dir"}
SIGNS = ("",) * 8 + ("+", "++", "~")
VALUES = (
    "-1", "0", "1", "2.5", "1e999", "nan", "null", "true", "on", "", " ", "x" * 5000, str(10**25),
    "-9223372036854775809", "1e-400", "[1,2]", "[1,2", "{a:1}", "[[[[", "${oc.env:HOME}", "${seed}", "${",
    "'quoted'", '"', "'", "a,b",
    "1,2", "range(3)", "range(0,9,0)", "interval(0,1)", "tag(log,interval(1e-4,1e-1))", "choice()", "glob(*)",
    "int(interval(1,4))", "\x1b[31mred", "\x9b31m", "[/]", "[bold]", "ü±→", "\udcff", "a\nb", "\t", "..",
    "../../etc", "/", "~", "-", "--", "=", "=1+1", "$(id)", "`id`", ";", "%s%n", "a" * 300, "\\", "🙂",
    "\u202eabc", "0x10", "1_000", "1e5", "١٢", "None", "inf", "-0.0", "4G", "10runs", "20m", "ok", "ok,killed",
)  # fmt: skip
NAMES = (
    "quickstart", "tcn_jsb", "mnist_rows", "b51af3", "b51af361144b", "results", ".", "cell=lstm",
    "cell=lstm,gru", "dataset=adding", "cells", "axes", "push", "tables",
)  # fmt: skip


def overrides() -> tuple[str, ...]:
    """Every key that a run has, and every group."""
    keys = set(registry.GROUPS) | {"experiment", "hydra.run.dir", "cell.nothing", "nothing"}
    for cell, dataset in (("lstm", "digits"), ("convlstm", "moving_digits"), ("tcn", "adding")):
        config, _ = compose.compose([f"cell={cell}", f"dataset={dataset}", "schedule=onecycle", "optimizer=sgd"])
        keys |= set(leaves(config))
    return tuple(sorted(keys))


def a_line(rng: random.Random, keys: tuple[str, ...]) -> list[str]:
    """One command line: mostly of the right shape, for what is refused for its shape goes no further."""
    command = rng.choice((*OF_RUNS, *OF_RUNS, *OTHERS))
    words = [command]
    if command in OF_RUNS:
        words += [_override(rng, keys) for _ in range(rng.randrange(1, 4))]
    else:
        words += [rng.choice(NAMES) if rng.random() < 0.7 else rng.choice(VALUES) for _ in range(OTHERS[command])]
    if rng.random() < 0.1:
        words.append(rng.choice(VALUES))
    if rng.random() < 0.4:
        words += _option(rng, command)
    if command == "sweep" and rng.random() < 0.5:
        words.append("--dry-run")
    return words


def _override(rng: random.Random, keys: tuple[str, ...]) -> str:
    key = rng.choice(keys)
    choices = list(registry.choices(key)) if key in registry.GROUPS else []
    value = rng.choice(choices) if choices and rng.random() < 0.9 else rng.choice(VALUES)
    return f"{rng.choice(SIGNS)}{key}={value}"


def _option(rng: random.Random, command: str) -> list[str]:
    """An option of a command, with a value where it takes one: one of its choices, or any."""
    actions = PARSER.commands()[command]._actions
    options = [each for each in actions if each.option_strings and LEFT_OUT.isdisjoint(each.option_strings)]
    if not options:
        return ["--none"]
    action = rng.choice(options)
    if action.nargs == 0:
        return [action.option_strings[0]]
    return [
        action.option_strings[0],
        str(rng.choice([*(action.choices or ()), rng.choice(VALUES), rng.choice(VALUES)])),
    ]


def how_it_ends(words: list[str]) -> str | None:
    """What is wrong with the end of a command line; None where nothing is."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"it took more than {SECONDS} s")

    said = io.StringIO()
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(words)
    except SystemExit as end:
        code = end.code  # type: ignore[assignment]
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    text = said.getvalue()
    if code not in CODES:
        return f"exit code {code}"
    if code == 2 and not text.strip():
        return "no word of what is wrong"
    return text if "Traceback" in text else None


def planned_only(sweep: Sweep, display: object = None) -> Result:
    """A sweep that does none of its runs."""
    sweep.brakes = Brakes(sweep.limits)
    return sweep.result


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_command_line_ends_in_a_traceback_or_never(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    monkeypatch.delenv("RNNBENCH_CONFIG_DIR", raising=False)

    def attempt(job, store, **options):
        """Everything up to the training: whatever came so far is a possible run."""
        task = build.make_task(job.config)
        assert task.spec
        raise BadInput("far enough.")

    monkeypatch.setattr("rnnbench.runs.run.attempt", attempt)
    monkeypatch.setattr(Sweep, "run", planned_only)
    assert main(["merge", "quickstart"]) == 0
    keys, rng = overrides(), random.Random(14)
    wrong = {}
    for _ in range(LINES):
        words = a_line(rng, keys)
        if (what := how_it_ends(words)) is not None:
            wrong[repr(words)[:300]] = what[-1500:]
    assert not wrong, "\n\n".join(f"{words}\n{what}" for words, what in wrong.items())
