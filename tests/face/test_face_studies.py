"""Ablation, search and claims from Python: the numbers of the published sets' own files."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import rnnbench
from rnnbench.errors import BadInput
from rnnbench.reports.claims.judge import rules

RESULTS = Path(__file__).parents[2] / "results"
PUBLISHED = RESULTS / "published"


def as_written(frame: pd.DataFrame) -> str:
    """A frame as the commands write it."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def on_terminal(answer: object) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(answer)
    return console.file.getvalue()


@pytest.mark.integration
def test_an_ablation_is_the_published_one():
    study = rnnbench.ablation("convlstm_peephole", results=RESULTS)
    frames = {"verdicts": study.verdicts, "effects": study.effects, "diagnostics": study.gradients, "cost": study.cost,
              "coverage": study.coverage}  # fmt: skip
    for name, frame in frames.items():
        written = (PUBLISHED / "convlstm_peephole" / f"ablation_{name}.csv").read_text()
        assert as_written(frame) == written, name
    assert study.frame is study.verdicts
    ((title, answers),) = study.answers.items()
    assert title == study.verdicts["study"][0]
    assert answers["What should a user choose?"].startswith("**off**, the baseline")
    assert any(rule.startswith("Margin") for rule in study.rules)
    shown = study._repr_html_()
    assert shown.count("<table>") == 3
    assert "**" not in shown
    assert "What should a user choose?" in on_terminal(study)


@pytest.mark.integration
def test_a_search_is_the_published_one():
    found = rnnbench.search("odyssey", results=RESULTS)
    for name, frame in {"trials": found.trials, "studies": found.studies}.items():
        assert as_written(frame) == (PUBLISHED / "odyssey" / f"search_{name}.csv").read_text()
    assert found.winners["study"].tolist() == found.studies["study"].tolist()
    assert found.winners["val"].tolist() == found.studies["best_val"].tolist()
    assert set(found.space) <= set(found.trials)
    shares = found.shares.assign(importance=found.shares["importance"].round(3))
    assert as_written(shares) == (PUBLISHED / "odyssey" / "search_importance.csv").read_text()
    assert found.shares is found.shares, "fitted once"
    assert found._repr_html_().count("<table>") == 2
    assert "winner on fresh seeds" in " ".join(on_terminal(found).split())


@pytest.mark.integration
def test_the_claims_are_the_published_ones():
    found = rnnbench.claims(results=RESULTS)
    written = pd.read_csv(PUBLISHED / "claims" / "claims.csv", keep_default_na=False)
    assert found.frame["claim"].tolist() == list(range(1, 21))
    verdicts = written.drop_duplicates("claim").set_index("claim")["verdict"]
    assert found.frame.set_index("claim")["verdict"].to_dict() == verdicts.to_dict()
    assert as_written(found.checks) == (PUBLISHED / "claims" / "claims.csv").read_text()
    assert found.rules == tuple(rules())
    assert "GRU is about as accurate as LSTM." in found._repr_html_()
    some = rnnbench.claims(19, 5, results=RESULTS)
    assert some.frame["claim"].tolist() == [5, 19]
    assert "GRU is about as accurate as LSTM." in " ".join(on_terminal(some).split())


def test_what_there_is_none_of_says_so(tmp_path):
    with pytest.raises(BadInput, match="'peephols'"):
        rnnbench.ablation("peephols", results=tmp_path)
    with pytest.raises(BadInput, match="'odissey'"):
        rnnbench.search("odissey", results=tmp_path)
    with pytest.raises(BadInput, match="there is no claim 99; they go from 1 to 20"):
        rnnbench.claims(99, results=tmp_path)
    assert set(rnnbench.claims(5, results=tmp_path / "new").frame["verdict"]) <= {"not enough evidence", "depends"}
