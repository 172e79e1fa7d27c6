"""Which runs a picture shows, what is drawn of them, and what of it a published set keeps."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from reports.predictions.framed import fill, frame_record, make_samples
from reports.synthetic import make_record
from rnnbench.errors import BadInput
from rnnbench.reports.figures import ACCENT, WARN
from rnnbench.reports.predictions import animation as predictions_gif
from rnnbench.reports.predictions.animation import animation
from rnnbench.reports.predictions.command import ask, draw_asked, to_make
from rnnbench.reports.predictions.picture import picture
from rnnbench.reports.predictions.pixels import Look, picked, time_text
from rnnbench.reports.predictions.sheets import Row, Sheet, choose, with_samples
from rnnbench.reports.publish.derive import verify
from rnnbench.reports.publish.freeze import publish
from rnnbench.store.rows import parts
from rnnbench.store.samples import FILE, Scale
from rnnbench.store.store import Store

RAIN = Scale("rain", 120.0, 5.0)


def grid(cells=("convlstm", "convgru"), seeds=range(3), **same):
    return [frame_record(cell, seed=seed, **same) for cell in cells for seed in seeds]


def sheet(rows=2, failed=0, **same):
    """A sheet of made-up samples."""
    shown = [Row(f"ConvLSTM +peephole(hadamard, detach) h={n}", f"{n}", "mse_sum 36.25", make_samples(f"{n}", **same))
             for n in range(rows)]  # fmt: skip
    lost = [Row(f"lost {n}", None, "no run ended ok (0/3: 3 diverged)") for n in range(failed)]
    return Sheet("moving_digits", "moving_digits", ("3->2", "seed 0"), (*shown, *lost))


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


def sweep(store, records, name="demo", **more):
    folder = store.root.parent / "sweeps"
    folder.mkdir(exist_ok=True)
    manifest = {"command": "rnnbench sweep x", "skipped": [], "runs": [record["id"] for record in records]} | more
    (folder / f"{name}.json").write_text(json.dumps(manifest))


# which runs


def test_the_smallest_seed_that_ended_ok_in_every_entry_is_shown():
    records = grid(seeds=(4, 2, 7))
    records[1] = frame_record("convlstm", seed=2, status="diverged")
    (found,) = choose(records)
    assert [row.label for row in found.rows] == ["ConvLSTM", "ConvGRU"], "in the order of the records"
    assert [row.run for row in found.rows] == [records[0]["id"], records[3]["id"]]
    assert [row.note for row in found.rows] == ["mse_sum 36.25"] * 2
    assert "weights best on validation, seed 4; mse_sum is over the whole test split, less is better" in found.terms


def test_without_a_common_seed_every_row_says_its_own():
    (found,) = choose([frame_record("convlstm", seed=1), frame_record("convgru", seed=5)])
    assert [row.note for row in found.rows] == ["mse_sum 36.25, seed 1", "mse_sum 36.25, seed 5"]


def test_a_seed_can_be_asked_for():
    records = grid(seeds=range(3))[:-1]
    (found,) = choose(records, 2)
    assert found.rows[0].run == records[2]["id"]
    assert (found.rows[1].run, found.rows[1].note) == (None, "seed 2: no finished run")
    assert choose(records, 9) == []


def test_failures_are_rows():
    records = [*grid(("convlstm",)), *grid(("convgru",), status="diverged")]
    (found,) = choose(records)
    assert (found.rows[1].run, found.rows[1].note) == (None, "seed 0: diverged")
    assert choose(grid(status="oom")) == []


def test_every_dataset_and_protocol_has_a_picture_of_its_own():
    records = [*grid(), *grid(protocol="3->5"), *grid(dataset="radar", metric="mse_mm"), make_record("lstm")]
    assert [found.name for found in choose(records)] == ["moving_digits", "moving_digits_2", "radar", "digits"]


def test_equal_labels_are_told_apart():
    records = [frame_record(lr=lr, backend=backend) for lr in (0.001, 0.1) for backend in ("eager", "native")]
    (found,) = choose(records)
    assert [row.label for row in found.rows] == [
        "ConvLSTM [eager]", "ConvLSTM [native]",
        "ConvLSTM [optimizer.lr=0.1, eager]", "ConvLSTM [optimizer.lr=0.1, native]",
    ]  # fmt: skip


def test_samples_that_are_missing_damaged_or_of_other_clips_are_said(store):
    records = grid(("convlstm", "convgru", "trajgru", "convrnn"), seeds=(0,))
    first, missing, torn, other = fill(store, records)
    (store.folder(missing) / FILE).unlink()
    (store.folder(torn) / FILE).write_bytes(b"torn")
    fill(Store.open(store.root.parent / "b"), [records[3]], seed=1)
    (store.root.parent / "b" / "runs" / other / FILE).rename(store.folder(other) / FILE)
    (found,), remarks = with_samples(choose(records), lambda run: store.folder(run) / FILE)
    assert [row.samples is not None for row in found.rows] == [True, False, False, False]
    assert found.shown.run == first
    assert {row.note for row in found.rows[1:]} == {"no samples kept"}
    for remark, part in zip(remarks, ("is missing", "cannot be read", "shows other clips"), strict=True):
        assert part in remark


# what is drawn


def test_frames_are_drawn_pixel_by_pixel():
    frame = np.array([[[0, 50], [100, 255]]], np.uint8)
    look = Look(Scale("plain", 1.0), 255)
    image = look.coloured(frame, 5)  # twice as large
    assert image.shape == (4, 4, 3)
    assert np.array_equal(image[::2, ::2, 0], frame[0])
    assert np.array_equal(image[..., 0], image[..., 2])
    colours = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    assert np.array_equal(look.coloured(colours, 2), np.moveaxis(colours, 0, -1))
    large = np.zeros((1, 400, 200), np.uint8)
    assert look.coloured(large).shape == (133, 66, 3)


def test_rain_has_the_colours_of_its_rates():
    weak, strong = (make_samples("a", scale=RAIN) for _ in range(2))
    weak.truth[:], weak.input[:] = 40, 40
    assert [text for _, text in Look.of(weak, 4).ticks] == ["0", "0.5", "1", "2", "≥5"]
    strong.truth[:] = 255
    look = Look.of(strong, 4)
    assert [text for _, text in look.ticks][-1] == "120"
    places = [place for place, _ in look.ticks]
    assert (places[0], places[-1], sorted(places)) == (0.0, 1.0, places)
    light = look.palette.astype(float) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(light) <= 0.5), "more rain is never lighter"
    assert Look.of(weak, 4).palette[-1].tolist() == Look.of(weak, 4).palette[Look.of(weak, 4).end].tolist()


def test_times_count_from_the_last_input_frame():
    assert [time_text(n, Scale("plain", 1.0)) for n in (-9, 0, 10)] == ["−9", "0", "+10"]
    assert [time_text(n, RAIN) for n in (-1, 0, 5)] == ["−5 min", "0 min", "+25 min"]
    assert picked(4, 10) == [0, 1, 2, 3]
    assert picked(20, 10) == [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]


@pytest.mark.parametrize("scale", [Scale("plain", 1.6), RAIN], ids=["plain", "rain"])
def test_a_picture_shows_input_truth_and_every_entry(scale):
    figure = picture(sheet(2, failed=1, scale=scale), 2)
    words = [text.get_text() for text in figure.texts]
    assert words.count("input") == words.count("truth") == 2
    assert words.count("no run ended ok (0/3: 3 diverged)") == 2
    assert [word for word in words if word.startswith("test clip")] == ["test clip 0", "test clip 5"]
    assert ("+10 min" if scale is RAIN else "+2") in words
    assert ("rain rate, mm/h" in words) == (scale is RAIN)
    assert ("white: 1.6 and above" in words) == (scale is not RAIN)
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0, text
        assert box.x1 <= width, text
        assert 0 <= box.y0 <= box.y1 <= height, text
    (image,) = figure.images
    grey = image.get_array()
    assert grey.shape == (round(height), round(width), 3)


def test_long_films_show_evenly_spaced_frames():
    words = [text.get_text() for text in picture(sheet(1, before=2, after=30), 1).texts]
    assert {"−1", "0", "+1", "+30"} <= set(words)
    assert "+2" not in words


@pytest.mark.integration
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_an_animation_shows_the_input_and_then_the_rest_for_ever(channels):
    content = animation(sheet(9, failed=1, channels=channels, before=3, after=2), 2)
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", 5, 0)
    edges = []
    for n in range(5):
        image.seek(n)
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 16)}
        assert (255, 255, 255) in colours
        edges.append([tuple(bytes.fromhex(c[1:])) in colours for c in (ACCENT, WARN)])
    assert all(blue for blue, _ in edges[:3])
    assert all(orange for _, orange in edges)
    assert image.info["duration"] > 1000, "the last frame stands longer"


def test_an_animation_is_made_smaller_until_it_is_small_enough(monkeypatch):
    whole = animation(sheet(3), 2)
    monkeypatch.setattr(predictions_gif, "MOST_BYTES", len(whole) - 1)
    assert len(animation(sheet(3), 2)) < len(whole)


def test_the_same_samples_give_the_same_pictures():
    for draw in (lambda: animation(sheet(2), 2), lambda: picture(sheet(2), 2).images[0].get_array().tobytes()):
        assert draw() == draw()


# what a name stands for


@pytest.mark.integration
def test_a_sweep_is_drawn_into_tables(store):
    records = grid()
    fill(store, records[:-1])
    sweep(store, records)
    files, remarks = draw_asked(ask(store, "demo"))
    folder = store.root.parent / "tables" / "frames_demo"
    assert files == [folder / "moving_digits.png", folder / "moving_digits.gif"]
    assert all(path.stat().st_size > 1000 for path in files)
    assert remarks == ["1 of the 6 runs of demo are not finished: rnnbench sweep x"]
    elsewhere, _ = draw_asked(ask(store, "demo"), store.root.parent / "out", clips=4)
    assert elsewhere[0] == store.root.parent / "out" / "moving_digits.png"


def test_a_run_is_found_by_the_beginning_of_its_id(store):
    (run,) = fill(store, [frame_record()])
    asked = ask(store, run[:5])
    assert (asked.name, asked.folder.name, asked.missing) == (run, f"frames_{run}", [])
    failed = frame_record(seed=1, status="diverged", reason="not finite")
    store.write(failed)
    with pytest.raises(BadInput, match=r"ended as diverged \(not finite\): it has no predictions"):
        ask(store, failed["id"])
    store.folder("zz").mkdir()
    with pytest.raises(BadInput, match="run zz is not finished"):
        ask(store, "zz")


def test_what_has_no_samples_is_to_be_made_first(store):
    records = grid()
    ids = fill(store, records)
    sweep(store, records)
    (store.folder(ids[0]) / FILE).unlink()
    asked = ask(store, "demo")
    assert asked.missing == to_make(store, "demo") == [ids[0]]
    files, remarks = draw_asked(asked, problems={ids[0]: "best.pt is missing"})
    assert len(files) == 2
    assert remarks == ["left out: best.pt is missing"], "said once"
    (store.folder(ids[3]) / FILE).unlink()
    with pytest.raises(BadInput, match=r"^best\.pt is missing$"):
        draw_asked(ask(store, "demo"), problems={ids[0]: "best.pt is missing"})


def test_what_cannot_be_shown_is_one_sentence(store):
    records = [*grid(("convlstm",)), make_record("lstm")]
    fill(store, records[:3])
    store.write(records[3])
    sweep(store, records, "demo")
    sweep(store, records[3:], "dense")
    sweep(store, grid(("convgru",)), "open")
    wrong = {
        ("dmo", None): r"no sweep, .* or run is called 'dmo'; did you mean demo\?",
        ("dense", None): r"no run of dense predicts frames \(dataset: digits\)",
        ("open", None): "no run of open is finished; start it: rnnbench sweep x",
        ("demo", 9): "no run of demo with seed 9 ended ok; seeds that did: 0, 1, 2",
    }
    for (name, seed), sentence in wrong.items():
        with pytest.raises(BadInput, match=sentence):
            ask(store, name, seed)
    with pytest.raises(BadInput, match="keep 4 test clips each; --clips takes at most 4"):
        draw_asked(ask(store, "demo"), clips=5)
    lost = grid(("convgru",), status="oom")
    fill(store, lost)
    sweep(store, lost, "lost")
    with pytest.raises(BadInput, match="no run of lost that predicts frames ended ok"):
        ask(store, "lost")
    assert to_make(store, "open") == to_make(store, "dense") == to_make(store, "nothing") == ()


# published


@pytest.fixture
def frozen(store):
    """A published set of two entries that worked and one that did not."""
    records = [*grid(), *grid(("convrnn",), seeds=(0,), status="diverged")]
    fill(store, records)
    sweep(store, records)
    return publish(store, "demo")


@pytest.mark.integration  # publishes
def test_a_published_set_keeps_one_seed_an_entry_and_its_pictures(store, frozen):
    assert verify(frozen) == []
    kept = list(json.loads((frozen / "sweep.json").read_text())["samples"])
    assert sorted(path.stem for path in (frozen / "samples").iterdir()) == sorted(kept)
    assert [store.records()[run]["axes"]["cell"] for run in kept] == ["convlstm", "convgru"], "as in the sweep"
    assert {store.records()[run]["seed"] for run in kept} == {0}
    pictures = sorted(path.name for path in (frozen / "figures").iterdir())
    assert pictures == ["frames_moving_digits.gif", "frames_moving_digits.png", "leaderboard.png"]
    text = (frozen / "README.md").read_text()
    assert all(f"(figures/{name})" in text for name in pictures)


@pytest.mark.integration
def test_pictures_are_drawn_again_from_the_published_folder_alone(store, frozen):
    before = {path.name: path.read_bytes() for path in (frozen / "figures").glob("frames_*")}
    for path in (frozen / "figures").iterdir():
        path.unlink()
    (store.root.parent / "sweeps" / "demo.json").unlink()
    store.root.rename(store.root.with_name("gone"))
    asked = ask(store, "demo")
    assert [row.label for row in asked.sheets[0].rows] == ["ConvLSTM", "ConvGRU", "convrnn"]
    assert asked.missing == ()
    draw_asked(asked)
    assert {path.name: path.read_bytes() for path in (frozen / "figures").glob("frames_*")} == before
    with pytest.raises(BadInput, match="the published set demo keeps predictions of seed 0 only"):
        ask(store, "demo", 1)


@pytest.mark.integration  # publishes
def test_touched_samples_are_noticed(frozen):
    first, second = sorted((frozen / "samples").iterdir())
    first.write_bytes(second.read_bytes())
    second.unlink()
    assert sorted(verify(frozen)) == [f"samples/{first.name}", f"samples/{second.name}"]


@pytest.mark.integration
def test_publishing_again_gives_the_same_files(store, frozen):
    def files():
        return {str(path): path.read_bytes() for path in frozen.rglob("*") if path.is_file()}

    before = files()
    (frozen / "samples" / "000000000000.npz").write_bytes(b"of an earlier freeze")
    publish(store, "demo")
    assert files() == before


@pytest.mark.integration  # publishes
def test_a_set_frozen_without_samples_stays_valid(store):
    records = grid()
    for path in [store.folder(run) / FILE for run in fill(store, records)]:
        path.unlink()
    sweep(store, records)
    folder = publish(store, "demo")
    assert verify(folder) == []
    assert not list((folder / "figures").glob("frames_*"))
    assert "samples" not in json.loads((folder / "sweep.json").read_text())
    assert "Predictions" not in (folder / "README.md").read_text()
    (store.root.parent / "sweeps" / "demo.json").unlink()
    with pytest.raises(BadInput, match="demo was frozen without predictions; publish it again"):
        ask(store, "demo")


def test_lists_among_options_are_not_cut_apart():
    assert parts("adam, clip=null, optimizer.betas=[0.9, 0.95], optimizer.lr=0.1") == [
        "adam", "clip=null", "optimizer.betas=[0.9, 0.95]", "optimizer.lr=0.1",
    ]  # fmt: skip
    assert parts(None) == parts("") == []
