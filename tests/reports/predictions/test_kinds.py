"""Pictures of every kind of samples: what stands in them, and that none is blank or leaves its paper."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from reports.predictions import kept
from reports.predictions.test_predictions import sweep
from reports.synthetic import make_record
from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.reports.figures import png
from rnnbench.reports.page.board import board
from rnnbench.reports.page.pictures import pictures
from rnnbench.reports.page.source import open_source
from rnnbench.reports.predictions.classes import worst_csv
from rnnbench.reports.predictions.figures import drawn
from rnnbench.reports.predictions.series import time_words
from rnnbench.reports.predictions.sheets import Row, Sheet
from rnnbench.reports.predictions.texts import markdown
from rnnbench.reports.publish.derive import verify
from rnnbench.reports.publish.freeze import publish
from rnnbench.store.samples import FILE, dumps
from rnnbench.store.store import Store, write_atomic


def sheet(kind, rows=2, **same):
    made = [Row(f"GRU h={n}", f"{n}", "accuracy 0.8", kept.ALL[kind](f"{n}", **same)) for n in range(rows)]
    return Sheet(kind, kind, ("a protocol", "seed 0"), (*made, Row("lost", None, "no run ended ok")))


def fill(store, kind, labels=("gru", "lstm"), **same):
    """Runs of one dataset with samples, as a sweep called demo; returns their ids."""
    records = [make_record(label, label=label.upper(), **same) for label in labels]
    for record in records:
        store.write(record)
        write_atomic(store.folder(record["id"]) / FILE, dumps(kept.ALL[kind](record["id"])))
    sweep(store, records)
    return [record["id"] for record in records]


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


@pytest.mark.integration  # draws
@pytest.mark.parametrize("kind", ["series", "classes", "values", "steps"])
def test_a_picture_is_as_wide_as_others_and_says_what_it_shows(kind):
    figure = drawn(sheet(kind))
    image = np.asarray(Image.open(io.BytesIO(png(figure))).convert("RGB"))
    height, width, _ = image.shape
    assert width == 1200
    assert 200 < height < 2000
    assert image.std() > 10, "it is not blank"
    assert len(np.unique(image.astype(np.uint32) @ np.uint32([1 << 16, 1 << 8, 1]))) > 20, "of several colours"
    assert (image[:, [0, -1]] == 255).all(), "nothing is cut off at its sides"
    words = [text.get_text() for part in figure.subfigs for text in part.texts]
    assert words[0].startswith(f"{kind}: ")
    assert {"a protocol", "seed 0", "lost: no run ended ok"} <= set(words)


def test_forecasts_have_a_panel_each_with_every_network_and_floor():
    figure = drawn(sheet("series"))
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels[:3]] == [
        "from 2022-01-14",
        "from 2022-01-14",
        "q1, from 2022-01-24",
    ]
    assert [axes.get_ylabel() for axes in panels[:2]] == ["column 0", "column 1"]
    assert len(panels) == 6
    drawn_lines = {tuple(np.round(line.get_ydata(), 4)) for line in panels[1].lines if len(line.get_ydata()) == 4}
    shown = kept.series()
    for values in (shown.truth[0, :, 1], shown.prediction[0, :, 1], shown.floors[0, 0, :, 1]):
        assert tuple(np.round(values, 4)) in drawn_lines
    assert [len(drawn(sheet("series"), clips).axes) for clips in (1, 2)] == [2, 4]
    assert drawn(sheet("series", clock="row")).axes[0].get_title(loc="left") == "from row 19,006"


def test_times_are_as_short_as_they_can_be():
    hour = 3600 * 10**9
    assert [time_words(n) for n in (0, hour, hour + 10**9)] == ["1970-01-01", "1970-01-01 01:00", "1970-01-01 01:00:01"]


@pytest.mark.parametrize("size", [3, 12, 40, 120])
def test_a_matrix_has_what_can_be_read_of_so_many_classes(size):
    axes = drawn(sheet("classes", rows=1, size=size)).axes[0]
    words = [text.get_text() for text in axes.texts]
    assert ("20\n90.9%" in words) == (size == 3)
    assert ("20" in words) == (size == 12)
    assert ("100%" in words) == (size <= 40), "what is right of the last class"
    assert (len(axes.get_yticklabels()) == size) == (size <= 40)
    assert axes.images[0].get_array()[0].sum() == pytest.approx(1)


@pytest.mark.integration  # draws
@pytest.mark.parametrize(("rows", "size"), [(1, 3), (1, 8), (2, 3)])
def test_few_matrices_stand_at_the_left_with_all_their_names(rows, size):
    figure = drawn(sheet("classes", rows=rows, size=size))
    figure.canvas.draw()
    first, width = figure.axes[0], figure.bbox.width
    assert first.get_window_extent().x0 < width / 8
    assert first.xaxis.label.get_window_extent().y0 > 0, "whole"
    bar, last = figure.axes[-1], figure.axes[rows - 1]
    assert 0 < bar.get_window_extent().x0 - last.get_window_extent().x1 < width / 8, "the bar is beside the last"


def test_the_worst_items_are_a_table():
    rows = list(csv.DictReader(io.StringIO(worst_csv(sheet("classes")))))
    assert [row["item"] for row in rows] == ["7", "2", "7", "2"]
    first = {key: rows[0][key] for key in ("entry", "run", "step", "true", "predicted", "probability_of_true")}
    assert list(first.values()) == ["GRU h=0", "0", "", "class 0", "class 1", "0.01"]


def test_a_text_cannot_end_its_block():
    lines = markdown(sheet("text", rows=1)).splitlines()
    start = lines.index("````text", lines.index("## GRU h=0 (accuracy 0.8)"))
    assert lines[start : start + 5] == ["````text", ", or", "```", "# not\\x1b[2J a heading", ""]
    assert lines[start + 5] == "````"
    assert "To be" in lines


@pytest.mark.integration  # draws
def test_the_command_draws_what_a_store_has(store, capsys):
    fill(store, "classes")
    words = ["demo", "--results", str(store.root.parent)]
    assert main(["predictions", *words]) == 0
    folder = store.root.parent / "tables" / "predictions_demo"
    assert capsys.readouterr().out == f"written: {folder}/digits.png, {folder}/digits_worst.csv\n"
    with Image.open(folder / "digits.png") as image:
        assert image.size[0] == 1200
    assert main(["frames", *words]) == 2
    assert "rnnbench predictions demo" in capsys.readouterr().err


@pytest.mark.integration  # draws
@pytest.mark.parametrize("kind", ["classes", "text"])
def test_a_published_set_keeps_them_and_is_verified(store, kind):
    ids = fill(store, kind)
    folder = publish(store, "demo")
    head = json.loads((folder / "sweep.json").read_text())
    assert (list(head["samples"]), head["sample_kinds"]) == (ids, dict.fromkeys(ids, kind))
    assert verify(folder) == []
    ending = "md" if kind == "text" else "png"
    assert f"(figures/predictions_digits.{ending})" in (folder / "README.md").read_text()
    assert (folder / "figures" / f"predictions_digits.{ending}").exists()
    (folder / "samples" / f"{ids[0]}.npz").write_bytes(b"touched")
    assert verify(folder) == [f"samples/{ids[0]}.npz"]


@pytest.mark.integration  # draws
@pytest.mark.parametrize(("kind", "kept_anyway"), [("classes", True), ("series", False)])
def test_of_data_that_may_not_be_shared_only_counts_are_published(store, kind, kept_anyway):
    records = [make_record("gru"), make_record("lstm")]
    for record in records:
        record["config"]["dataset"]["meta"] = {"name": "digits", "share": False}
        store.write(record)
        write_atomic(store.folder(record["id"]) / FILE, dumps(kept.ALL[kind](record["id"])))
    sweep(store, records)
    folder = publish(store, "demo")
    assert (folder / "samples").exists() == kept_anyway
    assert "digits: no values of its data are kept here" in (folder / "README.md").read_text()
    assert verify(folder) == []


def test_a_page_shows_texts_as_they_are_and_pictures(store):
    fill(store, "text")
    source = open_source(store)
    (found,) = pictures(source, board(source))["sheets"]
    assert found["prompt"] == "To be"
    assert [each["label"].split(" (")[0] for each in found["texts"]] == ["GRU", "LSTM"]
    assert found["texts"][0]["text"] == kept.text().sample


def test_a_page_of_runs_that_kept_nothing_says_nothing(store):
    for path in [store.folder(run) / FILE for run in fill(store, "values")]:
        path.unlink()
    source = open_source(store)
    assert pictures(source, board(source)) == {"sheets": [], "remarks": []}


@pytest.mark.integration  # draws
def test_samples_of_two_kinds_never_share_a_picture(store):
    ids = fill(store, "classes")
    (store.folder(ids[1]) / FILE).write_bytes(dumps(kept.values(ids[1])))
    from rnnbench.reports.predictions.command import ask, draw_asked

    _, remarks = draw_asked(ask(store, "demo", frames_only=False))
    assert len(remarks) == 1
    assert "shows other items than the rest" in remarks[0]
    with pytest.raises(BadInput, match="with seed 9 ended ok"):
        ask(store, "demo", 9, frames_only=False)
