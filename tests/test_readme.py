"""The README's numbers are the published records', and its commands are ones the program knows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from rnnbench.cli import parser_of_all
from rnnbench.runs import registry

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
FLAT = " ".join(TEXT.split())
TABLES = dict(re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end -->", TEXT, re.S))


def rows(name):
    """A README table's cells by row, header first."""
    lines = [line for line in TABLES[name].splitlines() if line.startswith("|") and "--" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def published(name):
    return pd.read_csv(ROOT / "results" / "published" / name / "leaderboard.csv")


def test_the_quickstart_table_is_the_published_one():
    board = published("quickstart")
    head, *body = rows("quickstart")
    assert head == ["entry", "digits accuracy ↑", "adding mse ↓", "parameters (digits)", "train s (digits, adding)"]
    assert len(body) == board["label"].nunique() >= 8
    for entry, digits, adding, params, seconds in body:
        mine = board[board["label"] == entry].set_index("dataset")
        assert [digits, adding] == [mine.loc[d, "result"] for d in ("digits", "adding")]
        assert int(params.replace(",", "")) == mine.loc["digits", "params"]
        assert seconds == ", ".join(f"{mine.loc[d, 'train_seconds']:.1f}" for d in ("digits", "adding"))


def test_the_figures_beside_published_ones_are_the_records():
    board = pd.concat([published("tcn_jsb"), published("mnist_rows")]).set_index("label")
    body = rows("published")[1:]
    assert len(body) == 4
    for _, entry, ours, *_ in body:
        assert ours == board.loc[entry, "result"]


def test_the_table_of_every_cell_on_frames_is_the_published_one():
    board = published("spatiotemporal_small")
    head, *body = rows("spatiotemporal")
    assert head == ["entry", "moving_digits mse_sum ↓", "radar mse_mm ↓", "parameters"]
    assert len(body) == board["label"].nunique() == 6
    for entry, digits, radar, params in body:
        mine = board[board["label"] == f"{entry} [forecast.patch=4]"].set_index("dataset")
        assert [digits, radar] == [mine.loc[d, "result"] for d in ("moving_digits", "radar")]
        assert int(params.replace(",", "")) == mine.loc["moving_digits", "params"]
    floors = board.drop_duplicates("dataset").set_index("dataset")["floor"]
    assert [f"{floors[d]:.4g}" for d in ("moving_digits", "radar")] == ["52.03", "0.00702"]
    assert "52.03" in TABLES["spatiotemporal"]
    assert "0.00702" in TABLES["spatiotemporal"]


def section(report, title):
    """The table under a heading of an ablation's report: rows of cells, header first."""
    body = report.split(f"### {title}\n", 1)[1].split("\n### ", 1)[0]
    lines = [line for line in body.splitlines() if line[:1] == "|" and "--" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_ablation_s_table_and_answers_are_the_published_ones():
    report = (ROOT / "results" / "published" / "convlstm_peephole" / "ablation.md").read_text()
    _, *effects = section(report, "Effect on mse_sum ↓ (test)")
    gradient = {row[0]: row[-1] for row in section(report, "Failures and gradients")[1:]}
    head, *body = rows("convlstm_peephole")
    assert head == ["peephole", "mse_sum ↓", "difference [95% CI]", "Holm p", "verdict", "gradient problem"]
    wanted = [[e[0], e[2], e[3], e[5], e[6], gradient.get(e[0], "")] for e in effects]
    assert body == wanted, "every variant and every comparison with a control"
    assert len(body) >= 10
    flat = " ".join(TABLES["convlstm_peephole"].split())
    choice = next(line for line in report.splitlines() if line.startswith("**What should a user choose?**"))
    assert choice.removeprefix("**What should a user choose?** ") in flat


def test_the_table_of_factors_is_the_published_one():
    report = (ROOT / "results" / "published" / "convlstm_peephole_factors" / "ablation.md").read_text()
    head, *body = rows("convlstm_peephole_factors")
    assert head == ["what is changed", "around `on`", "verdict", "around `hadamard`", "verdict"]
    found = {}
    for study in ("+peephole h=16", "+peephole(hadamard) h=16"):
        part = report.split(f"## moving_digits · small · ConvLSTM {study}\n", 1)[1]
        found[study] = [[row[3], row[6]] for row in section(part, "Effect on mse_sum ↓ (test)")[2:]]
    assert [row[1:] for row in body] == [[*on, *hadamard] for on, hadamard in zip(*found.values(), strict=True)]
    assert len(body) == 6
    not_run = [int(n) for n in re.findall(r"^- not run: (\d+) of 8 runs", report, re.M)]
    assert f"were not run: {sum(not_run)} runs" in TEXT


def test_the_table_of_training_is_the_published_one():
    folder = ROOT / "results" / "published" / "convlstm_peephole_factors"
    report = (folder / "ablation.md").read_text()
    overview = report.split("\n## Overview\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in overview.splitlines() if line.startswith("|")][2:]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    studies = [n for n, row in enumerate(found) if re.fullmatch(r"ConvLSTM h=16( .*)?", row[0])]
    _, *body = rows("convlstm_peephole_training")
    assert len(body) == len(studies) == 4
    for row, n in zip(body, studies, strict=True):
        hadamard, on = found[n : n + 2]
        assert [hadamard[1], on[1]] == ["hadamard against off", "on against off"]
        assert row[1:5] == [on[3], on[6], hadamard[3], hadamard[6]]
        assert row[5] == ("`hadamard`" if hadamard[7] == "problem" else hadamard[7]) != ""
        assert on[7] == "none"
    runs = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    norms = [run["diagnostics"]["grad_norm"]["max"] for run in runs if run["metric"] == "mse_sum"]
    assert f"no gradient norm passed {max(norms):.2f}," in TEXT
    assert "gate saturation +10.4 pp" in report


def test_three_verdicts_on_what_tutorials_say_are_the_published_ones():
    found = pd.read_csv(ROOT / "results" / "published" / "claims" / "claims.csv")
    head, *body = rows("claims")
    assert head == ["claim", "verdict", "runs", "check", "answer", "found"]
    assert [row[1] for row in body if row[1]] == ["depends", "holds", "does not hold"]
    text = verdict = ""
    for said, judged, *check, words in body:
        text, verdict = said or text, judged or verdict
        mine = found[(found["text"] == text) & (found["check"] == check[0])]
        assert [[verdict, *check]] == mine[["verdict", "check", "says", "answer"]].to_numpy().tolist()
        assert mine["words"].item().partition(", p ")[0] == words
    runs = len((ROOT / "results" / "published" / "claims" / "records.jsonl").read_text().splitlines())
    each = found.drop_duplicates("claim")["verdict"].value_counts()
    hold, not_so, depend, open_ = (each[v] for v in ("holds", "does not hold", "depends", "not enough evidence"))
    assert f"from {runs} runs: {hold} hold, {not_so} do not hold, {depend} depend on task" in FLAT
    assert f"and of {open_} there is not enough evidence" in FLAT


def test_what_the_readme_says_of_gru_lstm_and_rivals_is_published():
    found = pd.read_csv(ROOT / "results" / "published" / "claims" / "claims.csv")

    def ratio(check, says="updates per second above 1"):
        return f"{found[(found['check'] == check) & (found['says'] == says)]['mean'].item():.2f}"

    native, eager = (
        [ratio(f"gru / lstm, {task}, {way}") for task in ("digits", "adding")] for way in ("native", "eager")
    )
    assert f"({native[0]} of them on digits, {native[1]} on adding)" in FLAT
    assert f"the hand-written one makes more ({eager[0]}, {eager[1]})" in FLAT
    sooner = [ratio(f"gru / lstm, adding, {way}", "target seconds below 1") for way in ("native", "eager")]
    assert f"GRU needs less time with either ({sooner[0]}, {sooner[1]})" in FLAT
    tcn = [ratio(f"tcn / lstm, {way}, T=800") for way in ("eager", "native")]
    assert f"{tcn[0]} times the updates of the hand-written LSTM on 800 steps and {tcn[1]} times" in FLAT
    reached = found[found["check"].str.startswith("gru / lstm, adding") & found["says"].str.contains("target")]
    assert list(reached["answer"]) == ["yes", "yes"]
    slower = found[found["check"].str.startswith("transformer / lstm")]
    assert len(slower) == 4
    assert (slower["answer"] == "no").all()
    equal = found[found["claim"].isin([5, 19]) & (found["answer"] == "yes")]["check"]
    assert set(equal) == {"gru - lstm, digits, native", "gru_update - gru, digits, eager"}
    solved = found[(found["claim"] == 19) & (found["answer"] == "void")]
    assert set(solved["check"]) == {"gru_update - gru, adding, eager", "gru_update - gru, temporal_order, eager"}
    assert solved["words"].str.contains("both have solved the task").all()
    only = found[found["check"] == "gru - lstm, temporal_order, native"].squeeze()
    assert only["answer"] == "no"
    assert only["low"] > 0.9
    frames = found[found["claim"].isin([16, 17, 18])].set_index("check")[["answer", "low", "high"]]
    assert list(frames["answer"]) == ["no", "no", "yes", "no"]
    assert frames["high"].iloc[0] < 0
    assert frames.loc["scheduled - own, convlstm, rollout", "high"] < 0


def test_the_odyssey_s_table_and_shares_are_the_published_ones():
    folder = ROOT / "results" / "published" / "odyssey"
    report = (folder / "search.md").read_text()
    lines = [line for line in report.split("\n## ")[0].splitlines() if line.startswith("|")]
    keys, _, *found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    shown = ["study", "best 10%, test", "to the baseline [95% CI]", "verdict", "winner on fresh seeds, test"]
    _, *body = rows("odyssey")
    assert len(body) == len(found) == 9
    for row, study in zip(body, found, strict=True):
        wanted = [study[keys.index(key)] for key in shown]
        assert [cell.replace("−", "-") or "-" for cell in row] == wanted
    share = pd.read_csv(folder / "search_importance.csv").query("label == 'all studies'").set_index("key")["importance"]
    rate, momentum, variant, size, noise = (
        f"{share[key]:.2f}" for key in ("optimizer.lr", "optimizer.momentum", "variant", "hidden_size", "input_noise")
    )
    assert f"the learning rate explains {rate} of the variance of all 360 trials, momentum {momentum}" in FLAT
    assert f"the variant {variant}, hidden size and input noise {size} and {noise} (fANOVA)" in FLAT
    assert "half of them wider than ± 0.23 accuracy" in report
    runs, hours = re.search(r"- runs: ok \((\d+)\), ([\d.]+) core hours", (folder / "README.md").read_text()).groups()
    assert f"{runs} runs, none failed, {float(hours):.1f} core hours" in FLAT


def test_the_commands_are_known():
    commands = [word for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S) if not kind
                for word in re.findall(r"^rnnbench (\w+)", block, re.M)]  # fmt: skip
    assert {"run", "sweep", "leaderboard", "list", "show", "ablation", "frames", "predictions", "data"} <= set(commands)
    known = parser_of_all()._subparsers._group_actions[0].choices
    assert set(commands) <= set(known)


@pytest.mark.parametrize("group", ["cell", "peephole", "direction", "dataset"])
def test_every_choice_of_an_axis_is_named(group):
    (line,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{group}` |")]
    assert set(registry.choices(group)) <= set(re.findall(r"`([\w]+)`", line))
