"""TensorBoard event files, written and read back."""

from __future__ import annotations

import sys

import pytest

from rnnbench.errors import BadInput
from rnnbench.tracking.tensorboard_tracker import TensorboardTracker


def read_events(folder):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    texts = {
        tag.removesuffix("/text_summary"): [e.tensor_proto.string_val[0].decode() for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }
    return scalars, texts


@pytest.mark.integration
def test_curves_config_and_record_can_be_read_back(info, record):
    pytest.importorskip("tensorboard")
    tracker = TensorboardTracker()
    tracker.start(info)
    tracker.log({"train/loss": 1.0}, 1)
    tracker.log({"train/loss": 0.5, "val/loss": 0.75}, 2)
    tracker.finish(record, ok=True)
    scalars, texts = read_events(info.folder / "tensorboard")
    assert scalars["train/loss"] == [(1, 1.0), (2, 0.5)]
    assert scalars["val/loss"] == [(2, 0.75)]
    assert scalars["record/val/loss"] == [(2, 0.25)]
    assert "record/test/auc" not in scalars  # None: not measured
    assert '"rnnbench_id": "0123456789ab"' in texts["config"][0]
    assert '"options.groups": 4' in texts["record"][0]
    assert texts["ended"] == ["ok"]


@pytest.mark.integration
def test_an_attempt_without_a_record_says_that_it_failed(info):
    pytest.importorskip("tensorboard")
    tracker = TensorboardTracker()
    tracker.start(info)
    tracker.finish(None, ok=False)
    _, texts = read_events(info.folder / "tensorboard")
    assert texts["ended"] == ["failed"]
    assert "record" not in texts


def test_without_the_package_one_sentence_says_how_to_get_it(info, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    tracker = TensorboardTracker()
    with pytest.raises(BadInput, match=r"pip install 'rnnbench\[tensorboard\]'"):
        tracker.start(info)
    tracker.finish(None, ok=False)  # never started: nothing to end
