"""The leaderboard's picture: panels of one dataset with different protocols say what tells them apart."""

from __future__ import annotations

from pathlib import Path

from rnnbench.reports.boards import leaderboard_figure as drawn
from rnnbench.reports.publish.derive import frame_of
from rnnbench.store.published import read_head, read_published

PUBLISHED = Path(__file__).parents[3] / "results" / "published"


def panels(name: str):
    folder = PUBLISHED / name
    return drawn._panels(frame_of(read_head(folder), read_published(folder)))


def test_panels_of_one_title_say_what_of_their_protocol_differs():
    parts = panels("fsdd")
    words = drawn._apart(parts)
    assert len(set(words)) == len(parts) == 3
    for part, said in zip(parts, words, strict=True):
        protocol = part["protocol"].iloc[0]
        for group in ("george", "theo", "official test"):
            assert (group in said) == (group in protocol)
        assert "log-mel" not in said, "which all of them share"


def test_a_panel_alone_says_nothing_more():
    assert drawn._apart(panels("mnist1d")) == [""]
