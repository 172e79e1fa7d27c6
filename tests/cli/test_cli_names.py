"""What a name means is one thing: every command that takes one, with everything that a name can be."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from reports.page.paged import write_sweep
from reports.predictions.framed import fill, frame_record
from reports.search.test_search import searched
from reports.synthetic import fill_store
from rnnbench.cli import main
from rnnbench.reports.publish.freeze import publish
from rnnbench.store.record import run_id
from rnnbench.store.store import Store
from rnnbench.tracking.push import Pushed

pytestmark = pytest.mark.integration  # a command each, a hundred of them: half a minute together

# The commands by what is read of a name. NAME stands for it.
SELECTING = {
    "leaderboard": "leaderboard NAME", "tables": "tables NAME", "compare": "compare NAME NAME",
    "report": "report NAME", "serve": "serve --port 0 NAME", "wandb tables": "wandb tables NAME",
}  # fmt: skip
ANY = SELECTING | {"wandb push": "wandb push NAME", "frames": "frames NAME", "predictions": "predictions NAME"}
STUDIES = {"ablation": "ablation --no-figures NAME", "search": "search --no-figures NAME"}
ONE_RUN = {"show": "show NAME", "diff": "diff NAME NAME"}
SWEEPS = {"status": "status NAME", "retry": "retry NAME", "publish": "publish new --sweep NAME", "stop": "stop NAME"}
COMMANDS = ANY | STUDIES | ONE_RUN | SWEEPS | {"verify": "verify NAME", "merge": "merge NAME"}

# What a name can be, and the name: of a sweep or set of frames, and of a search for the command that takes only these.
MEANINGS = {
    "sweep": ("mine", "hunt"),
    "published set": ("frozen", "caught"),
    "path of a sweep": ("elsewhere/sweeps/mine.json", "elsewhere/sweeps/hunt.json"),
    "path of a set": ("elsewhere/published/frozen", "elsewhere/published/caught"),
    "path of a store": ("elsewhere", "elsewhere"),
    "path of its runs": ("elsewhere/runs", "elsewhere/runs"),
    "unknown": ("mime", "mime"),
    "broken manifest": ("bad", "bad"),
    "beginning of an id": ("ID", "ID"),
}
DAMAGED = "results/sweeps/bad.json is damaged; the sweep's command, given again, writes it anew."
WHAT = {
    "sweep": "'mine' is a sweep", "published set": "'frozen' is a published set",
    "path of a sweep": "'elsewhere/sweeps/mine.json' is a sweep",
    "path of a set": "'elsewhere/published/frozen' is a published set",
    "path of a store": "'elsewhere' is a folder with runs",
    "path of its runs": "'elsewhere/runs' is a folder with runs",
    "beginning of an id": "is a run",
}  # fmt: skip


def sentence(command: str, meaning: str) -> str:
    """What is said of a name that a command cannot take; empty where it can."""
    if meaning == "broken manifest":
        return "'bad' is a sweep, and a published set is needed here; " if command == "verify" else DAMAGED
    if command in ONE_RUN:
        counted = {"path of a store": "12", "path of its runs": "12"}.get(meaning, "6")
        said = {"unknown": "no run 'mime' in results/runs; ", "beginning of an id": ""}
        return said.get(meaning, f"{WHAT.get(meaning)} ({counted} runs), and one run is needed here; give its id: ")
    if command == "stop":
        said = {"unknown": "no sweep 'mime' is running; none is at all.", "sweep": "no sweep 'mine' is running; "}
        said["path of a sweep"] = said["sweep"]
    elif command in SWEEPS:
        of_another = "elsewhere/sweeps/mine.json is a sweep of another store; --results elsewhere works on that one."
        said = {"unknown": "no sweep is called 'mime'; did you mean mine", "sweep": ""}
        said["path of a sweep"] = "" if command == "status" else of_another
    elif command == "verify":
        said = {"unknown": "no published set is called 'mime'; ", "published set": "", "path of a set": ""}
    elif command == "merge":
        said = {"sweep": "mine is in the store already; ", "beginning of an id": "is in the store already; "}
        said["unknown"] = "no sweep, published set, folder with runs or run is called 'mime'; did you mean mine"
    elif command in STUDIES:
        said = {"unknown": "no sweep, published set or folder with runs is called 'mime'; did you mean mine"}
        said["beginning of an id"] = "is a run, and a sweep, a published set or a folder with runs is needed here; "
    else:
        said = {"unknown": "no sweep, published set, folder with runs or run is called 'mime'; did you mean mine"}
    if meaning in said or command in (*ANY, *STUDIES, "merge"):
        return said.get(meaning, "")
    needed = "a published set" if command == "verify" else "a sweep"
    return f"{WHAT[meaning]}, and {needed} is needed here; "


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results/ with two sweeps, both published as well, and a broken manifest; and elsewhere/ with the same."""
    folder = tmp_path_factory.mktemp("names")
    store = Store.open(folder / "results")
    frames = [of_frames(peephole, seed) for peephole in ("off", "on") for seed in range(3)]
    fill(store, frames)
    write_sweep(store, "mine", frames, ablation={})
    rules, trials = searched(3, {"lstm": 0.0, "gru": 0.1})
    fill_store(store, trials)
    write_sweep(store, "hunt", trials, search=rules)
    publish(store, "frozen", sweep="mine")
    publish(store, "caught", sweep="hunt")
    shutil.copytree(folder / "results", folder / "elsewhere")
    store.results.manifest("bad").write_text('{"command": "x", "runs"')
    return folder


def of_frames(peephole: str, seed: int) -> dict:
    record = frame_record("convlstm", seed=seed, value=36.0 + seed + (peephole == "on"))
    record["axes"] |= {"peephole": peephole, "label": f"ConvLSTM {peephole}"}
    record["config"] |= {"peephole": {"name": peephole}}
    return record | {"id": run_id(record["config"])}


@pytest.fixture
def call(made, tmp_path, monkeypatch, capsys) -> Callable[..., Said]:
    """call("show", "06dc"): the command in a copy of `made`; W&B and the browser are told, and do nothing."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    monkeypatch.setattr("rnnbench.reports.page.serve.server", ended)
    for name in ("push", "push_tables"):
        monkeypatch.setattr(f"rnnbench.tracking.push.{name}", pushed)

    def run(*words: str) -> Said:
        return Said(main(words), *capsys.readouterr())

    return run


@contextlib.contextmanager
def ended(page, host, port):
    """A server that is interrupted at once."""

    class Server:
        server_address = (host, port)

        def serve_forever(self):
            raise KeyboardInterrupt

    yield Server()


def pushed(what, *_, **__) -> Pushed:
    return Pushed(pushed=len(list(what)))


def test_the_tables_of_this_test_are_whole():
    """A command that takes a name and is not here would be tried with nothing."""
    from rnnbench.cli import parser_of_all

    taking = set()
    for name, parser in parser_of_all().commands().items():
        metavars = {str(action.metavar or action.dest) for action in parser._actions if not action.option_strings}
        if metavars & {"NAME", "SELECTION", "A", "RUN", "SWEEP", "DIR"}:
            taking.add(name)
    assert taking == {name.partition(" ")[0] for name in COMMANDS}


@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_a_name_in_every_meaning(call, command, meaning):
    name = MEANINGS[meaning][command == "search"].replace("ID", of_frames("on", 1)["id"][:6])
    said = call(*COMMANDS[command].replace("NAME", name).split())
    if expected := sentence(command, meaning):
        assert (said.code, said.out) == (2, "")
        assert re.sub(r"^rnnbench: ('[0-9a-f]{6}' |[0-9a-f]{6} )?", "", said.err).startswith(expected)
        assert said.err.count("\n") == 1
    else:
        assert said.code == 0, said.err
        # Of a whole store predictions asks for every run, and the trials here are made up, without a network.
        if not (command == "predictions" and meaning in ("path of a store", "path of its runs")):
            assert "damaged" not in said.err, "what was not asked for is in nobody's way"


@pytest.mark.parametrize("command", ["leaderboard", "tables", "report", "wandb push", "wandb tables", "status"])
def test_a_broken_manifest_is_mentioned_where_everything_is_listed(call, command):
    said = call(*command.split())
    assert said.code == 0
    assert said.err.count(f"note: {DAMAGED}\n") == 1


# which of several, and where what is made of it goes


def frozen_as(name: str) -> str:
    """The path of the set that comes with rnnbench."""
    from rnnbench.store.published import shipped

    folder = shipped()
    assert folder is not None
    return str(folder / name)


def test_a_user_s_own_comes_first(call, tmp_path):
    theirs = call("leaderboard", "quickstart", "--format", "csv").out
    assert theirs == call("leaderboard", frozen_as("quickstart"), "--format", "csv").out
    shutil.copytree("results/published/caught", "results/published/quickstart")
    own = call("leaderboard", "quickstart", "--format", "csv").out
    assert own == call("leaderboard", "caught", "--format", "csv").out != theirs
    shutil.copy("results/sweeps/mine.json", "results/sweeps/quickstart.json")
    sweep = call("leaderboard", "quickstart", "--format", "csv").out
    assert sweep == call("leaderboard", "mine", "--format", "csv").out != own
    assert call("leaderboard", "published=quickstart", "--format", "csv").out == own, "said so, the set is meant"
    assert "'caught' is a published set, and a sweep is needed here" in call("leaderboard", "sweep=caught").err


@pytest.mark.parametrize(
    ("words", "folder"),
    [("ablation --no-figures mine", "results/tables/ablation_mine"),
     ("ablation --no-figures frozen", "results/published/frozen"),
     ("ablation --no-figures results/published/frozen", "results/published/frozen"),
     ("ablation --no-figures elsewhere/published/frozen", "results/tables/ablation_frozen"),
     ("ablation --no-figures elsewhere", "results/tables/ablation_mine"),
     ("search --no-figures caught", "results/published/caught"),
     ("search --no-figures elsewhere/published/caught", "results/tables/search_caught"),
     ("frames frozen", "results/published/frozen/figures"),
     ("frames elsewhere/published/frozen", "results/tables/frames_frozen"),
     ("frames elsewhere/runs", "results/tables/frames_runs")],
)  # fmt: skip
def test_only_a_set_of_the_user_s_own_results_is_written_into(call, tmp_path, words, folder):
    before = {path: path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()}
    said = call(*words.split())
    assert said.code == 0
    assert f"{folder}/" in (said.out + said.err).replace("\n", "")
    assert before == {path: path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()}


def test_a_folder_of_several_studies_is_asked_which(call):
    shutil.copy("elsewhere/sweeps/mine.json", "elsewhere/sweeps/more.json")
    said = call("ablation", "elsewhere")
    assert said.code == 2
    assert "holds several sweeps (mine, more), and an ablation is of one; give its manifest: " in said.err


def test_a_run_is_a_folder_too(call):
    run = of_frames("off", 0)["id"]
    assert call("show", f"elsewhere/runs/{run}").out.startswith(f"ok  {run}")
    assert call("merge", f"elsewhere/runs/{run}", "--results", "new").out.startswith("1 copied, ")
    assert call("diff", f"elsewhere/runs/{run}", run).out.splitlines()[3] == (
        "one id: nothing that changes a result differs"
    )


def test_one_sweep_of_a_store_is_merged_alone(call):
    assert call("merge", "elsewhere/sweeps/mine.json", "--results", "new").out.startswith("6 copied, ")
    assert [path.name for path in Path("new/sweeps").iterdir()] == ["mine.json"]
    assert json.loads(Path("new/sweeps/mine.json").read_text())["ablation"] == {}


def test_a_published_run_is_shown(call):
    shutil.rmtree("results/runs")
    run = of_frames("off", 0)["id"]
    said = call("show", run[:8])
    assert said.out.startswith(f"ok  {run}")
    assert "results/published/frozen" in said.out
