"""The pages of docs/ name commands and options that the program has, and executors' options that they take."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest

from rnnbench.cli import parser_of_all
from rnnbench.cli.claims import read
from rnnbench.datasets import Chomsky, Word
from rnnbench.datasets.chomsky import DIALECTS
from rnnbench.nn.backends.compiled.operations import TABLE
from rnnbench.nn.backends.compiled.tracing import RULES, _no_reduction
from rnnbench.reports.claims.judge import rules
from rnnbench.reports.claims.measures import MEASURES
from rnnbench.runs import registry
from rnnbench.sweeps.executors import ray, slurm

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
# The page "Sweeps" has every command of many runs.
OF_SWEEPS = {"plan", "sweep", "status", "retry", "stop", "clean", "tune", "merge", "diff", "wandb"}


def commands(page):
    """Every rnnbench command in a page's blocks of commands, as words."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    lines = [line for kind, block in blocks if not kind for line in block.splitlines() if line.startswith("rnnbench ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_there_are_pages_and_the_readme_leads_to_each():
    readme = (ROOT / "README.md").read_text()
    assert {page.name for page in PAGES} >= {"sweeps.md", "remote.md"}
    assert all(f"docs/{page.name}" in readme for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_option_is_known(page):
    parser = parser_of_all()
    known = parser.commands()
    for name, *words in commands(page):
        assert name in known, f"rnnbench {name}"
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= set(parser.options(name)), f"rnnbench {name} {options}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_files_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_page_on_sweeps_has_every_command_of_many_runs():
    assert {words[0] for words in commands(ROOT / "docs" / "sweeps.md")} >= OF_SWEEPS


def test_the_page_on_claims_has_them_and_their_rules_as_they_are():
    text = (ROOT / "docs" / "claims.md").read_text()
    rows = [f"| {c.n} | {c.text} | {', '.join(f'`{name}`' for name in c.experiments)} |" for c in read()]
    assert [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)] == rows
    assert all(f"\n- {rule}\n" in text for rule in rules())
    assert all(f"`{measure}`" in text for measure in MEASURES)


@pytest.mark.parametrize(("heading", "executor"), [("Ray", ray), ("SLURM", slurm)])
def test_the_tables_of_executor_options_are_the_executors_own(heading, executor):
    section = (ROOT / "docs" / "remote.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"(\w+)=", rows)) - {"account", "qos", "constraint"} == set(executor.OPTIONS)


def test_the_table_of_what_a_step_may_use_has_every_rule_and_no_other():
    text = (ROOT / "docs" / "speed.md").read_text()
    table = text.split("<!-- operations -->")[1].split("<!-- end -->")[0]
    named = {name for row in table.splitlines()[3:] for name in re.findall(r"`([a-z_]+)`", row.split(" | ")[0])}
    assert named == {name for name, rule in RULES.items() if rule is not _no_reduction}
    assert {"stop", "joined", "leaky"} | named >= {name for name, each in TABLE.items() if each.gradient}


def test_the_words_of_refusal_on_the_page_are_the_code_s():
    text = " ".join(
        (ROOT / "docs" / "speed.md").read_text().split("### What a step may use")[1].split("\n### ")[0].split()
    )
    code = (ROOT / "src" / "rnnbench" / "nn" / "backends" / "compiled" / "tracing.py").read_text()
    for words in (
        "an operation in place", "a decision by the value of a tensor", "a product of two", "which has no rule",
        "a tensor that is neither computed by the step nor a weight",
        "a normalisation, a reduction over a row's features",
    ):  # fmt: skip
        assert words in text
        assert words in code


def first_column(table: str) -> set[str]:
    """The names in the first column of a table of docs/zoo.md, by the comment above it."""
    text = (ROOT / "docs" / "zoo.md").read_text().split(f"<!-- {table} -->")[1].split("<!-- end -->")[0]
    return {name for row in text.splitlines()[3:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_zoo_has_every_cell_of_its_families_and_says_how_it_is_computed():
    metas = {name: registry.read("cell", name)["meta"] for name in registry.choices("cell")}
    classics = {"mgu", "gru_update"}
    zoo = {n for n, meta in metas.items() if meta["family"] in ("gated", "linear", "ode", "xlstm")} - classics
    assert first_column("cells") == zoo
    text = (ROOT / "docs" / "zoo.md").read_text().split("<!-- cells -->")[1].split("<!-- end -->")[0]
    for cells, computed in re.findall(r"^\| (`.*?) \| .* \| (.*) \|$", text, re.M):
        for name in re.findall(r"`(\w+)`", cells):
            assert metas[name]["compiles"] == ("compiled" in computed), name
            assert metas[name].get("scans", False) == ("scan" in computed), name


def test_the_zoo_has_its_four_tasks_with_their_floors():
    assert first_column("tasks") == {"word", "mqar", "selective_copy", "chomsky"}
    text = (ROOT / "docs" / "zoo.md").read_text()
    for group, tokens in (("s3", "elements"), ("a5", "generators")):
        task = Word(group=group, tokens=tokens, T=24 if group == "a5" else 32, train=1)
        floor = task.floors(task.load())["majority"]
        assert f"{floor:.3f}"[1:] + f" (`{group}`)" in text
    floors = re.search(r"mean over lengths \| (.*) \|", text)[1].split(", ")
    for dialect, floor in zip(DIALECTS, floors, strict=True):
        if dialect in ("parity", "bucket_sort"):
            task = Chomsky(dialect=dialect, train=1)
            assert f"{task.floors(task.load())['majority']:.3f}"[1:] == floor


def boards_row(name: str, part: str) -> dict[str, str]:
    """A published set's results by cell, with the best trivial forecast and what was fitted; of the protocols that say
    `part`, "" of all."""
    with (ROOT / "results" / "published" / name / "leaderboard.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if part in row["protocol"]]
    networks = [row for row in rows if row["settings"] in ("default", "tuned") and "+" not in row["label"]]
    found = {row["label"].split()[0]: row["result"] for row in networks}
    for kind, heading in (("floor", "best trivial"), ("fitted", "fitted")):
        first = next(row for row in rows if row["settings"] == kind)  # the best one: a block is sorted
        found[heading] = f"{first['result']} ({first['label'].removeprefix(f'{kind}: ')})"
    return found


def test_what_networks_reach_on_real_data_is_published():
    page = (ROOT / "docs" / "data.md").read_text()
    head, _, *rows = re.search(r"<!-- published -->\n(.*?)\n<!-- end -->", page, re.S)[1].splitlines()
    columns = [cell.strip() for cell in head.strip("|").split("|")][1:]
    assert [re.search(r"\[(\w+)\]", row)[1] for row in rows] == [
        "etth1",
        "shakespeare",
        "quickstart_forecast",
        "mnist1d",
        *["fsdd"] * 3,
    ]
    for row in rows:
        first, *cells = [cell.strip() for cell in row.strip("|").split("|")]
        part = re.search(r"README\.md\)([^,(]*)", first)[1].strip()
        published = boards_row(re.search(r"\[(\w+)\]", first)[1], part)
        assert cells == [published.get(column, "-") for column in columns]
