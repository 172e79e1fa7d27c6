"""`make_tracker` and the group conf/tracker."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import pytest
import yaml

from rnnbench.errors import BadInput
from rnnbench.tracking import Guarded, NoTracker, Tracker, make_tracker, tensorboard_tracker, wandb_tracker
from rnnbench.tracking.base import TrackerError

CONF = Path(__file__).parents[2] / "conf" / "tracker"


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_of_the_group_makes_its_tracker(path):
    if path.stem == "tensorboard":
        pytest.importorskip("tensorboard")
    cfg = yaml.safe_load(path.read_text())
    assert cfg["name"] == path.stem
    assert isinstance(make_tracker(cfg), NoTracker if path.stem == "none" else Guarded)


def test_the_options_arrive_and_the_config_is_left_as_it_was():
    cfg = {"name": "wandb", "project": "mine", "entity": "us", "mode": "disabled", "dir": "here"}
    tracker = make_tracker(dict(cfg)).tracker
    assert isinstance(tracker, wandb_tracker.WandbTracker)
    assert (tracker.project, tracker.entity, tracker.mode, str(tracker.dir)) == ("mine", "us", "disabled", "here")
    assert cfg["name"] == "wandb"


@pytest.mark.parametrize(
    ("cfg", "sentence"),
    [
        ({"name": "wandbb"}, "did you mean wandb"),
        ({"name": "zzz"}, "known: none, tensorboard, wandb"),
        ({}, "tracker.name=None"),
        ({"name": "wandb", "projet": "x"}, "did you mean project"),
        ({"name": "none", "mode": "offline"}, "has no options"),
        ({"name": "wandb", "mode": "onlin"}, "did you mean online"),
    ],
)
def test_what_is_not_known_is_refused_in_one_sentence(cfg, sentence):
    with pytest.raises(BadInput, match=sentence):
        make_tracker(cfg)


def test_a_missing_tensorboard_is_said_before_the_run(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="pip install"):
        make_tracker({"name": "tensorboard"})
    assert "rnnbench[tensorboard]" in tensorboard_tracker.MISSING


def test_without_a_warn_the_sentence_goes_to_the_log(monkeypatch, info, caplog):
    def no_start(self, info):
        raise TrackerError("no server")

    monkeypatch.setattr(wandb_tracker.WandbTracker, "start", no_start)
    with caplog.at_level(logging.WARNING, logger="rnnbench.tracking"):
        make_tracker({"name": "wandb"}).start(info)
    assert len(caplog.messages) == 1
    assert "no server" in caplog.messages[0]


def test_no_tracker_takes_every_call(info, record):
    tracker: Tracker = make_tracker({"name": "none"})
    tracker.start(info)
    tracker.log({"loss": 1.0}, 1)
    tracker.finish(record, ok=True)
    tracker.abandon()
    assert list(info.folder.iterdir()) == []


@pytest.mark.integration
def test_importing_and_making_imports_nothing_heavy(python):
    done = python("""
        import sys
        from rnnbench.tracking import make_tracker
        for name in ("none", "wandb", "tensorboard"):
            make_tracker({"name": name})
        print(*sorted({name.partition(".")[0] for name in sys.modules} & {"wandb", "torch", "tensorboard", "numpy"}))
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
