"""`rnnbench claims` from the command line: the table without any run, one claim in full, its runs, and refusals."""

from __future__ import annotations

import pytest

from rnnbench.cli import main
from rnnbench.store.store import Store


@pytest.fixture
def alone(monkeypatch):
    """As an rnnbench that came without published sets."""
    monkeypatch.setattr("rnnbench.reports.claims.command.shipped", lambda: None)


def test_elsewhere_the_runs_that_come_with_rnnbench_are_the_evidence(tmp_path, capsys):
    assert main(["claims", "1", "7", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "are missing" not in out
    assert "of at least" not in out
    assert "holds" in out


def test_a_damaged_manifest_of_an_experiment_is_said_and_hides_no_published_run(tmp_path, capsys):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "claims_pairs.json").write_text("{")
    assert main(["claims", "7", "--results", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "claims_pairs.json is damaged; the sweep's command, given again, writes it anew." in said.err
    assert "are missing" not in said.out


@pytest.mark.usefixtures("alone")
def test_without_runs_every_claim_says_what_makes_them(tmp_path, capsys):
    assert main(["claims", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("claim") and "are missing" in line]
    named = [
        int(n) for line in lines for n in line.removeprefix("claims ").removeprefix("claim ").split(":")[0].split(",")
    ]
    assert sorted(named) == list(range(1, 21))
    assert "claims 5, 6, 7, 19, 20: runs of claims_pairs are missing: rnnbench claims --run 5" in lines
    assert out.count("not enough evidence") == 20
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {"claims.md", "claims.csv"}


def test_they_can_be_listed(capsys):
    assert main(["list", "claims"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[4] == " 5  GRU is about as accurate as LSTM."


@pytest.mark.usefixtures("alone")
def test_one_claim_is_shown_with_its_checks_and_the_rules(tmp_path, capsys):
    assert main(["claims", "7", "--results", str(tmp_path), "--output", str(tmp_path / "here")]) == 0
    out = capsys.readouterr().out
    assert "recurrent params equals 0.75" in out
    assert "0 of at least 1 pairs" in out
    assert "- Verdict, of the checks that are not void: holds where all say yes" in out
    assert (tmp_path / "here" / "claims.md").exists()


@pytest.mark.integration
def test_a_dry_run_names_the_sweeps_of_a_claim(tmp_path, capsys):
    assert main(["claims", "--run", "12", "--dry-run", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "claims_speed: 135 runs: 135 new\nto do: 135 runs, time unknown" in out
    assert "made by: rnnbench sweep experiment=claims_rivals" in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["21"], "there is no claim 21; they go from 1 to 20."),
        (["5", "--run", "--budget", "tiny"], "unknown budget 'tiny'"),
        (["--dry-run"], "--dry-run and --budget are for --run"),
        (["--budget", "smoke"], "--dry-run and --budget are for --run"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(words, sentence, tmp_path, capsys):
    assert main(["claims", *words, "--results", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.integration
def test_run_makes_the_runs_of_a_claim_once_and_smoke_is_no_evidence(tmp_path, capsys):
    words = ["claims", "--run", "7", "--budget", "smoke", "--workers", "1", "--results", str(tmp_path)]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "10 runs: 10 ok" in said.err
    assert "runs of budget=smoke do not count" in " ".join(said.out.split())
    assert len(Store.open(tmp_path).ids()) == 10
    assert main(words) == 0
    assert capsys.readouterr().err.count("[") == 0, "the same command does nothing again"
