"""The report of an ablation as files and on the terminal: from a store, from a published set, with failures in it."""

import io
import json
import re
import subprocess
import sys

import pytest
from rich.console import Console

from reports.ablation.ablated import CORE, history, peephole_record, study
from reports.synthetic import fill_store
from rnnbench.errors import BadInput
from rnnbench.reports.ablation.command import derive_ablation, draw_published, main_ablation
from rnnbench.reports.ablation.figures import draw, planned
from rnnbench.reports.ablation.study import ablation
from rnnbench.reports.ablation.table import FILES, write_ablation
from rnnbench.reports.ablation.terminal import to_rich
from rnnbench.reports.tables.numbers import estimate, points, ratio, share
from rnnbench.store.curves import read_curves, write_curves
from rnnbench.store.store import Store

NOTHING = re.compile(r"\b(nan|NaN|inf|NaT|None(?! in))\b|<NA>")


def mixed():
    """The core grid with failures, a control, and a run without diagnostics."""
    records = study(CORE, range(5))
    records += [peephole_record("off", seed, hidden_size=70, params=9_050_000) for seed in range(5)]
    records += [peephole_record("uniform01", seed, status="diverged" if seed else "error") for seed in range(3)]
    return [*records, peephole_record("normal", 0, with_diagnostics=False)]


def sweep(tmp_path, records, spec=None, more=()):
    store = fill_store(Store.open(tmp_path), records)
    for record in records:
        lines = [json.dumps(line) for line in history(record)]
        (store.folder(record["id"]) / "history.jsonl").write_text("\n".join(lines) + "\n")
    manifest = {
        "command": "rnnbench sweep experiment=demo", "skipped": [], "runs": [r["id"] for r in records] + list(more),
    }  # fmt: skip
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "demo.json").write_text(json.dumps(manifest | ({"ablation": spec} if spec else {})))
    return store


def publish(store, folder):
    """What publishing leaves: records, curves, the sweep's head."""
    folder.mkdir(parents=True)
    records = store.records()
    (folder / "records.jsonl").write_text("".join(json.dumps(records[run]) + "\n" for run in sorted(records)))
    (folder / "sweep.json").write_text(json.dumps({"name": "demo", "command": "x", "skipped": [], "ablation": {}}))
    write_curves(store, records, folder)
    return folder


def shown(result, width=100):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(to_rich(result))
    return console.file.getvalue()


@pytest.mark.integration
def test_no_number_that_is_none_is_ever_written(tmp_path):
    result = ablation(mixed())
    for path in write_ablation(result, tmp_path):
        assert not NOTHING.search(path.read_text()), path.name
    assert not NOTHING.search(shown(result))
    assert not re.search(r" [;,)]|\(\)", shown(result))


def test_the_same_records_give_the_same_bytes_in_any_order(tmp_path):
    records = mixed()
    one = write_ablation(ablation(records), tmp_path / "one")
    two = write_ablation(ablation(records[::-1]), tmp_path / "two")
    assert sorted(path.name for path in one) == sorted(FILES)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_failures_are_in_every_part(tmp_path):
    result = ablation(mixed())
    text = (write_ablation(result, tmp_path)[0]).read_text()
    assert "0/3: 2 diverged, 1 error" in text
    assert "loss is not finite at update 120" in text
    assert "2 diverged: loss is not finite at update 120; 1 error" in " ".join(shown(result).split())


def test_the_terminal_is_a_hundred_columns_wide():
    lines = shown(ablation(mixed())).splitlines()
    assert max(map(len, lines)) <= 100
    assert not any("…" in line for line in lines)


def test_tables_are_whole_markdown(tmp_path):
    text = (write_ablation(ablation(mixed()), tmp_path)[0]).read_text()
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 4
    for table in tables:
        assert len({re.sub(r"\\.", "", line).count("|") for line in table.splitlines()}) == 1
    assert "Rules of the verdicts" in text


def test_from_a_store(tmp_path):
    store = sweep(tmp_path, mixed(), {"questions": [{"effect": "Does seeing C help?"}]})
    group, files, remarks = main_ablation(store, "demo", figures=False)
    assert [path.name for path in files] == list(FILES)
    assert files[0].parent == tmp_path / "tables" / "ablation_demo"
    assert "**Does seeing C help?**" in files[0].read_text()
    assert remarks == []
    assert group is not None


def test_runs_that_are_not_finished_are_said(tmp_path):
    store = sweep(tmp_path, study(["off", "on"], range(3)), more=["0123456789ab"])
    assert main_ablation(store, "demo", figures=False)[2] == [
        "1 of the 7 runs of demo are not finished: rnnbench sweep experiment=demo"
    ]


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(BadInput, match="did you mean demo"):
        main_ablation(sweep(tmp_path, study(["off", "on"], range(3))), "dmo")
    with pytest.raises(BadInput, match="folder with runs is called 'x'; known: baseline"):
        main_ablation(Store.open(tmp_path / "empty"), "x")


@pytest.mark.integration
def test_a_published_set_gives_the_tables_of_its_store_to_the_byte(tmp_path):
    store = sweep(tmp_path, mixed(), {})
    folder = publish(store, tmp_path / "published" / "demo")
    (tmp_path / "fresh").mkdir()
    assert derive_ablation(folder, tmp_path / "fresh") == list(FILES)
    _, files, _ = main_ablation(store, "demo")
    assert [p.read_bytes() for p in files[: len(FILES)]] == [(tmp_path / "fresh" / n).read_bytes() for n in FILES]
    (tmp_path / "sweeps" / "demo.json").unlink()
    assert main_ablation(store, "demo", figures=False)[1][0].parent == folder


def test_a_published_set_that_is_no_ablation_gives_nothing(tmp_path):
    folder = publish(sweep(tmp_path, study(["off", "on"], range(3))), tmp_path / "published" / "demo")
    (folder / "sweep.json").write_text('{"name": "demo"}')
    assert derive_ablation(folder, tmp_path) == []


def test_histories_are_the_same_from_the_store_and_from_the_published_file(tmp_path):
    store = sweep(tmp_path, study(["off", "on"], range(2)))
    folder = publish(store, tmp_path / "published" / "demo")
    ids = list(store.records())
    assert read_curves(folder, ids) == read_curves(store, ids)
    before = (folder / "curves.jsonl").read_bytes()
    assert write_curves(store, ids[::-1], folder).read_bytes() == before
    assert read_curves(folder, ["none"]) == read_curves(tmp_path, ids) == {}


def test_of_a_step_logged_twice_the_last_row_stays(tmp_path):
    store = sweep(tmp_path, [record := peephole_record()])
    path = store.folder(record["id"]) / "history.jsonl"
    path.write_text('{"step": 2, "a": 1}\n{"step": 1, "a": NaN}\n{"step": 2, "a": 3}\n{"torn')
    rows = read_curves(store, [record["id"]])[record["id"]]
    assert [row["step"] for row in rows] == [1, 2]
    assert rows[1]["a"] == 3
    assert '"a":null' in write_curves(store, [record["id"]], tmp_path).read_text()


@pytest.mark.integration
@pytest.mark.parametrize("records", [mixed(), study(["off", "on"], range(2))], ids=["mixed", "two"])
def test_every_figure_is_drawn_and_linked(tmp_path, records):
    result = ablation(records)
    histories = {record["id"]: history(record) for record in records}
    paths = draw(result, histories, tmp_path)
    assert [path.stem for path in paths] == [
        "effects", "loss", "gradient_norm", "gradient_norm_training", "gradient_time", "cell_state", "saturation",
    ]  # fmt: skip
    assert all(path.read_bytes()[:4] == b"\x89PNG" and path.stat().st_size > 5000 for path in paths)
    text = write_ablation(result, tmp_path, planned(result, histories))[0].read_text()
    assert all(f"(figures/{path.name})" in text for path in paths)


def test_without_diagnostics_and_histories_only_the_effects_are_drawn(tmp_path):
    result = ablation(study(["off", "on"], range(3), with_diagnostics=False))
    assert [path.stem for path in draw(result, {}, tmp_path)] == ["effects"]
    nothing = [peephole_record(name, 0, status="error", with_diagnostics=False) for name in ("off", "on")]
    assert draw(ablation(nothing), {}, tmp_path) == []


def test_figures_of_a_published_set_go_into_its_folder(tmp_path):
    store = sweep(tmp_path, study(["off", "on"], range(2), with_diagnostics=False))
    folder = publish(store, tmp_path / "published" / "demo")
    assert {path.parent for path in draw_published(folder)} == {folder / "figures"}


def test_numbers_in_words():
    assert estimate(-0.01037, -0.01129, -0.00945) == "−0.01037 [−0.01129, −0.00945]"
    assert estimate(0.0, 0.0, 0.0) == "0 (no spread)"
    assert estimate(1234.0, 1100.0, 1400.0) == "+1,234 [1,100, 1,400]"
    assert estimate(2e-9, 1e-9, 3e-9) == "+2.00e-09 [1.00e-09, 3.00e-09]"
    assert estimate(float("nan"), 0, 0) == ""
    assert estimate(0.5, float("nan"), float("nan")) == "+0.5"
    assert estimate(-0.5, float("nan"), float("nan")) == "−0.5"
    assert (ratio(1.236, 1.1, 1.39), ratio(1.5), ratio(2e-12)) == ("x1.24 [1.10, 1.39]", "x1.50", "x2.0e-12")
    assert (points(0.032), points(-0.032, -0.05, -0.01)) == ("+3.2 pp", "−3.2 pp [−5.0, −1.0]")
    assert (share(0.5), share(0.0005), share(0.0)) == ("50.0%", "0.05%", "0%")


SCRIPT = """
import sys
import rnnbench.reports.ablation.command
print([m for m in ("torch", "hydra", "pytorch_lightning", "wandb", "scipy.stats", "matplotlib") if m in sys.modules])
"""


@pytest.mark.integration
def test_the_report_starts_without_anything_heavy():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
