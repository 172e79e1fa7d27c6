"""`rnnbench compare` from the front door: selections, exit codes, and records that cannot be read."""

from __future__ import annotations

import json

import pytest
from test_cli_tables import BAD

from reports.synthetic import fill_store, make_records
from rnnbench.cli import main
from rnnbench.store.store import Store


@pytest.fixture
def stores(tmp_path, monkeypatch) -> tuple[Store, Store]:
    """A store as it was, and one whose GRU is worse; the second's path has a space."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    records = make_records(seeds=range(9))
    shifts = [0.2 * (record["axes"]["cell"] == "gru") + record["seed"] / 1e4 for record in records]
    worse = [
        record | {"metrics": {name: value - shift for name, value in record["metrics"].items()}}
        for record, shift in zip(records, shifts, strict=True)
    ]
    return fill_store(Store.open(), records), fill_store(Store.open("the other"), worse)


@pytest.mark.integration
def test_a_loss_fails_the_gate_and_only_the_gate(stores, capsys):
    assert main(["compare", "results", "the other"]) == 0
    assert "worse" in capsys.readouterr().out
    assert main(["compare", "results", "the other", "--gate"]) == 1
    assert "loss: digits · GRU 64: worse" in capsys.readouterr().err
    assert main(["compare", "the other", "results", "--gate"]) == 0
    assert main(["compare", "results", "results", "--gate"]) == 0


def test_selections_in_quotes_and_formats(stores, capsys, tmp_path):
    assert main(["compare", "cell=lstm", "'the other' cell=lstm", "--format", "json", "--output", "out"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["label"] == "LSTM 64"
    assert len(list((tmp_path / "out").iterdir())) == 5
    assert main(["compare", "cell=lstm", "cell=gru"]) == 0
    assert "LSTM 64 -> GRU 64" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [("cell=lstm", "dataset=adding", "no run has dataset=adding"), ("nothing", "results", "is called 'nothing'"),
     ("cell='lstm", "results", "is no selection"), ("dataset=digits", "results", "two datasets")],
)  # fmt: skip
def test_bad_input_is_one_sentence(stores, capsys, a, b, said):
    assert main(["compare", a, b]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", BAD)
def test_no_kind_of_damage_stops_a_comparison(stores, capsys, kind):
    folder = stores[1].folder("badbadbadbad")
    folder.mkdir()
    (folder / "record.json").write_bytes(BAD[kind])
    assert main(["compare", "results", "the other"]) == 0
    err = capsys.readouterr().err
    assert "badbadbadbad" in err
    assert "left out: 1 record cannot be read: badbadbadbad" in err
    assert "badbadbadbad/record.json: cannot be read" not in err


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_record_that_cannot_be_read_stops_the_gate(stores, capsys, damaged):
    folder = stores[damaged].folder("badbadbadbad")
    folder.mkdir()
    (folder / "record.json").write_bytes(BAD["truncated"])
    place = ["results", "the other"][damaged]
    assert main(["compare", place, place, "--gate"]) == 1
    (loss,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("loss: ")]
    assert loss.endswith("badbadbadbad/record.json: cannot be read")


@pytest.mark.integration
def test_an_entry_that_is_gone_stops_the_gate_unless_the_second_is_asked_for_less(stores, capsys):
    for folder in stores[1].root.iterdir():
        if json.loads((folder / "record.json").read_text())["axes"]["cell"] == "gru":
            (folder / "record.json").unlink()
    capsys.readouterr()
    gone = "loss: digits · small · GRU 64: gone"
    assert main(["compare", "results", "the other"]) == 0
    assert gone not in capsys.readouterr().err
    assert main(["compare", "results", "the other", "--gate"]) == 1
    assert gone in capsys.readouterr().err
    main(["compare", "results", "'the other' label='LSTM 64,RNN 64'", "--gate"])
    said = capsys.readouterr()
    assert "GRU 64 (not asked of the second)" in said.out
    assert gone not in said.err


@pytest.mark.integration
def test_the_output_is_a_folder_or_a_sentence(stores, capsys, tmp_path):
    (tmp_path / "notes").write_text("mine")
    for command in (["compare", "results", "results"], ["tables"], ["leaderboard"], ["claims"]):
        for place in ("notes", "notes/new"):
            assert main([*command, "--output", place]) == 2
            said = capsys.readouterr()
            assert said.err.splitlines()[-1] == "rnnbench: notes is a file; --output names a folder."
            assert said.out == "", "no table before the error"
    (tmp_path / "results" / "tables").write_text("mine")
    assert main(["tables"]) == 2
    assert "results/tables is a file; a folder is needed there." in capsys.readouterr().err
