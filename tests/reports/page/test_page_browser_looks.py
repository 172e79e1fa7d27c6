"""The report page as it looks in a real browser: search, intervals, names in charts, wide tables on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.page.browsed import MARKS, drawn, rows
from reports.synthetic import fill_store, make_record, make_records
from rnnbench.reports.page.render import page_data, write_page
from rnnbench.reports.page.source import open_source
from rnnbench.store.store import Store

pytestmark = MARKS


def found(page, words: str) -> list[str]:
    page.fill("#search", words)
    return rows(page)


def test_the_search_knows_axes_datasets_and_options(opened, tmp_path):
    records = make_records(("lstm", "gru"), range(3)) + make_records(("lstm",), range(3), [0.002])
    small = {"dataset": "adding", "metric": "mse", "goal": "min", "floor": 0.167, "target": 0.0}
    records += [make_record("gru", seed=seed, value=0.01, **small) for seed in range(3)]
    deep = [make_record("rnn", seed=seed) for seed in range(3)]
    for record in deep:
        record["axes"] |= {"depth": 2, "label": "RNN x2"}
    page = opened(
        write_page(open_source(fill_store(Store(tmp_path / "runs"), records + deep)), tmp_path / "a.html").as_uri()
    )
    assert found(page, "depth=2") == ["RNN x2"]
    assert "RNN x2" not in found(page, "depth=1")
    assert found(page, "depth=20") == []
    assert found(page, "GRU digits") == ["GRU 64"]
    assert len(found(page, "cell=gru")) == 2
    assert found(page, "cell=gru dataset=add") == ["GRU 64"], "a beginning will do"
    assert found(page, "hidden_size=64 h=64 depth=2 digits") == ["RNN x2"]
    example = page.get_attribute("#search", "placeholder").partition(":")[2]
    assert found(page, example.replace("lstm", "rnn")) == ["RNN x2"]


def wide_store(folder: Path) -> Store:
    """An mse whose second entry's interval over three seeds begins below 0 and overlaps the leader's."""
    small = {"dataset": "adding", "metric": "mse", "goal": "min", "floor": 0.167, "target": 0.0}
    values = {"gru": (0.0009, 0.0010, 0.0011), "lstm": (0.001, 0.002, 0.09), "rnn": (0.165, 0.166, 0.167)}
    return fill_store(
        Store(folder / "runs"),
        [
            make_record(cell, seed=n, value=value, **small)
            for cell, some in values.items()
            for n, value in enumerate(some)
        ],
    )


def test_an_interval_is_drawn_as_far_as_a_value_is_possible(opened, tmp_path):
    page = opened(write_page(open_source(wide_store(tmp_path)), tmp_path / "a.html").as_uri())
    drawn(page)
    assert page.locator("#board tr.under .ends").inner_text().split()[0] == "0"
    cut = page.locator("#board tr.open", has=page.locator(".cut"))
    assert cut.locator(".name").all_inner_texts() == ["LSTM 64"]
    assert "95% interval: -0.0" in cut.locator("span[title]", has=page.locator("svg")).get_attribute("title")
    labels = page.locator("#pareto .role-axis-label text").all_text_contents()
    assert not [text for text in labels if text.startswith(("-", "\u2212"))]
    for words in ("not told apart from the best: ", "the floor: ", "cut: no value is possible beyond"):
        assert page.locator("#board .key").get_by_text(words).count() == 1
    page.get_by_role("button", name="LSTM 64").first.click()
    said = page.get_by_role("dialog").inner_text()
    assert "2 of 3" in said
    assert "not told apart from the best (its own interval is wide)" in said
    assert "-0.0" in said, "the number itself is kept"


def test_the_result_axis_has_a_logarithmic_choice(opened, tmp_path):
    page = opened(write_page(open_source(wide_store(tmp_path)), tmp_path / "a.html").as_uri())
    drawn(page)
    page.check("#pareto-log")
    page.locator("#pareto .role-axis-label text", has_text="0.01").first.wait_for()


OVERLAPS = """() => {
  const all = [...document.querySelectorAll('#pareto [class*=name_] text')].map((e) => e.getBoundingClientRect());
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 3 && b.top < a.bottom - 3;
  return all.some((a, n) => all.slice(n + 1).some((b) => meet(a, b)));
}"""
INSIDE = """() => {
  const frame = document.querySelector('#pareto .chart').getBoundingClientRect();
  const inside = ({ left, right }) => left >= frame.left - 1 && right <= frame.right + 1;
  return [...document.querySelectorAll('#pareto .chart text')].map((e) => e.getBoundingClientRect()).every(inside);
}"""


@pytest.mark.parametrize("width", [390, 1280])
def test_names_in_charts_are_whole_and_lie_on_nothing(frozen, opened, tmp_path, width):
    source = open_source(Store(frozen / "runs"), ["convlstm_peephole"])
    page = opened(write_page(source, tmp_path / "a.html").as_uri(), width=width)
    drawn(page)
    assert not page.evaluate(OVERLAPS)
    assert page.evaluate(INSIDE)
    marks = page.locator("#pareto [class*=name_] text").all_text_contents()
    assert len(marks) == len(set(marks)) == 8
    named = page.locator("#pareto .marks li").all_inner_texts()
    assert len(named) == (8 if width == 390 else 0)
    plot = page.locator("#ablations .chart").first
    text = "".join(plot.locator(".role-axis-label text").all_text_contents())
    for words in ("hadamard detach", "against off", "(hidden_size=21)"):
        assert words in text
    assert "\u2026" not in text
    title = "".join(plot.locator(".role-axis-title text").all_text_contents()).replace(" ", "")
    assert title.endswith("pairedbyseed(leftisbetter)")
    key = page.locator("#ablations .key").inner_text()
    for words in ("helps, perhaps by its size", "not enough evidence", "does not matter", "diamond:", "grey band:"):
        assert words in key


def test_a_phone_shows_where_there_is_more_and_rows_are_not_empty(frozen, opened, tmp_path):
    source = open_source(Store(frozen / "runs"), ["spatiotemporal_small"])
    page = opened(write_page(source, tmp_path / "a.html").as_uri(), width=390, height=800)
    drawn(page)
    board = page.locator("#board .sideways")
    assert board.get_attribute("class") == "sideways after"
    inner = board.locator(".scroll")
    assert (inner.get_attribute("tabindex"), inner.get_attribute("role")) == ("0", "region")
    inner.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    page.locator("#board .sideways.before:not(.after)").wait_for()
    outside = "all => all.filter(e => e.getBoundingClientRect().right > innerWidth).length"
    assert page.locator("#provenance td").evaluate_all(outside) == 0
    picture = page.locator("#frames img").first
    before = picture.evaluate("e => e.offsetWidth")
    page.locator("#frames .zoom").first.click()
    assert picture.evaluate("e => e.offsetWidth") > 2 * before
    page.locator("#frames .zoom").first.press("Enter")
    assert picture.evaluate("e => e.offsetWidth") == before


def test_a_page_without_curves_says_so(frozen, opened, tmp_path):
    source = open_source(Store(frozen / "runs"), ["quickstart"])
    page = opened(write_page(source, tmp_path / "a.html").as_uri())
    assert "no curves.jsonl" in page.locator("#curves").inner_text()


def floors_store(folder: Path) -> Store:
    """Networks on both sides of their floors, and a dataset without any."""
    floors = {"last": 2.2, "seasonal": 1.3, "mean": 1.1, "linear": 0.9, "best": 1.1}
    same = {"metric": "mse", "goal": "min", "target": 0.0, "dataset": "own_series"}
    records = []
    for cell, value in (("lstm", 0.7), ("rnn", 1.2)):
        for seed in range(3):
            record = make_record(cell, seed=seed, value=value + seed / 100, **same)
            record["dataset"] |= {"reading": {"lines": ["read"]}, "reference": "linear"}
            records.append(record | {"floors": floors, "floor": "best"})
    return fill_store(Store(folder / "runs"), records + make_records(("gru",), range(3)))


def test_floors_are_rows_beside_the_entries(opened, tmp_path):
    source = open_source(floors_store(tmp_path))
    told = {block["dataset"]: block["floors"] for block in page_data(source)["board"]["blocks"]}
    assert told["digits"] == []
    assert [(row["label"], row["mean"], row["mark"]) for row in told["own_series"]] == [
        ("fitted: linear", 0.9, ""), ("floor: mean", 1.1, "score 0"), ("floor: seasonal", 1.3, ""),
        ("floor: last", 2.2, ""),
    ]  # fmt: skip
    page = opened(write_page(source, tmp_path / "a.html").as_uri())
    drawn(page)
    floors = [row["label"] for row in told["own_series"]]

    def names() -> list[str]:
        return page.locator("#board tr.open, #board tr.beside").locator("td[data-name=entry]").all_inner_texts()

    ranked = ["GRU 64", "LSTM 64", "RNN 64"]
    assert names() == [*ranked, *floors], "not among the ranks"
    assert page.locator("#shown").inner_text() == "3 entries"
    row = page.locator("#board tr.beside", has_text="floor: mean")
    assert [text.strip() for text in row.locator("td").all_inner_texts() if text.strip()] == [
        "–", "floor: mean", "1.1 (score 0)", "0.000", "floor"
    ]  # fmt: skip
    row.click()
    assert page.locator("dialog[open]").count() == 0
    assert rows(page) == ranked, "no floor is opened, by mouse or key"
    page.locator("#board th", has_text="result").get_by_role("button").click()
    assert names() == ["GRU 64", "LSTM 64", *floors[:2], "RNN 64", *floors[2:]], "by their values"
    page.locator("#board th", has_text="params").get_by_role("button").click()
    assert names()[-4:] == floors
    page.fill("#search", "rnn")
    assert names() == ["RNN 64", *floors], "what it is compared with stays"
    page.fill("#search", "gru")
    assert names() == ["GRU 64"]
    assert page.locator("#shown").inner_text() == "1 of 3 entries"
    assert page.locator("#board .key").get_by_text("a fitted predictor is no floor").count() == 1
