"""The peephole ablation from its experiment to its verdicts and its frozen set, in miniature."""

from __future__ import annotations

import json

import pytest
from sweeping import sweep

from rnnbench.reports.ablation.command import main_ablation
from rnnbench.reports.publish.derive import verify
from rnnbench.reports.publish.freeze import publish
from rnnbench.store.store import Store

pytestmark = pytest.mark.integration
TINY = (
    "experiment=convlstm_peephole", "budget=smoke", "budget.updates=4", "budget.val_every=2", "budget.batch_size=4",
    "dataset.size=16", "dataset.train=64", "dataset.val=8", "dataset.test=8", "hidden_size=3",
)  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    done = sweep(*TINY, results=folder)
    assert (done.exit_code, len(done.records)) == (0, 12)
    return folder


def test_the_variants_are_paired_with_off_and_judged_by_the_stated_rules(results, tmp_path):
    shown, files, remarks = main_ablation(Store.open(results), "convlstm_peephole", tmp_path)
    assert shown is not None
    assert remarks == []
    names = {path.name for path in files}
    assert {"ablation.md", "ablation_effects.csv", "ablation_diagnostics.csv", "effects.png", "loss.png"} <= names
    said = (tmp_path / "ablation.md").read_text()
    for variant in ("on", "hadamard", "hadamard detach", "conv1x1", "conv"):
        assert f"**{variant}**" in said or f"| {variant} |" in said
    assert "not enough evidence" in said.lower(), "two seeds decide nothing"
    assert "nan" not in said.lower().replace("finance", "")


def test_what_is_frozen_is_equal_to_its_records_and_a_touched_number_is_noticed(results):
    folder = publish(Store.open(results), "convlstm_peephole")
    assert verify(folder) == []
    assert (folder / "figures" / "effects.png").stat().st_size > 5_000
    path = folder / "records.jsonl"
    first, *rest = path.read_text().splitlines()
    record = json.loads(first)
    record["metrics"]["test/mse_sum"] += 1
    path.write_text("\n".join([json.dumps(record), *rest]) + "\n")
    assert {"ablation.md", "ablation_effects.csv"} <= set(verify(folder))
