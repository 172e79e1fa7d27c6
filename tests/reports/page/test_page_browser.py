"""The report page in a real browser: it opens in silence, works by mouse and keyboard, fits a phone, runs no markup.

How its charts and tables look at two widths is in test_page_browser_looks.py.
"""

from __future__ import annotations

import json
import threading

import pytest

from reports.page.browsed import MARKS, drawn, rows
from reports.page.paged import evil_store, full_store
from reports.synthetic import fill_store, make_record, make_records
from rnnbench.reports.page.render import page_data, render, write_page
from rnnbench.reports.page.serve import Page, server
from rnnbench.reports.page.source import open_source
from rnnbench.store.folder import Results
from rnnbench.store.store import Store

pytestmark = MARKS


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    return write_page(open_source(full_store(folder)), folder / "report.html").as_uri()


def test_everything_is_drawn_and_nothing_is_said(opened, url):
    page = opened(url)
    drawn(page)
    titles = page.locator("main h2").all_inner_texts()
    assert " ".join(titles) == ("Leaderboard Speed and accuracy Learning curves Searches Ablations Coverage Provenance")
    charts = page.locator(".chart")
    assert charts.count() >= 12
    assert page.locator(".chart svg").count() == charts.count()
    assert page.get_by_text("loss is not finite at update 120").count() >= 1


def test_headings_sort_within_a_dataset(opened, url):
    page = opened(url)
    before = rows(page)
    page.get_by_role("button", name="entry", exact=False).first.click()
    header = page.locator("#board th", has=page.get_by_role("button", name="entry"))
    assert header.get_attribute("aria-sort") == "ascending"
    assert rows(page)[1:8] == sorted(before[1:8])
    page.locator("#board th", has=page.get_by_role("button", name="entry")).get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert rows(page)[1:8] == sorted(before[1:8], reverse=True)
    assert rows(page)[0] == before[0], "adding stays above digits"


def test_search_and_filters_change_the_rows(opened, url):
    page = opened(url)
    page.fill("#search", "convlstm conv)")
    assert rows(page) == ["ConvLSTM h=64 +peephole(conv)"]
    assert page.locator("#shown").inner_text() == "1 of 11 entries"
    page.fill("#search", "nothing like it")
    assert rows(page) == []
    page.fill("#search", "")
    page.select_option("#ended", "lost")
    assert rows(page) == ["NIG 64"]
    page.select_option("#ended", "")
    page.select_option("#cell", "mgu")
    assert rows(page) == ["MGU 64"]


def test_an_entry_opens_with_its_runs_curves_and_config(opened, url):
    page = opened(url)
    page.get_by_role("button", name="MGU 64").click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator("h2").inner_text() == "MGU 64"
    dialog.locator(".chart svg").wait_for()
    text = dialog.inner_text()
    for words in ("4 runs", "cell.name", "mgu", "val/loss", "against", "Metrics"):
        assert words in text
    dialog.get_by_role("button", name="Close").click()
    assert not page.locator("#entry[open]").count()
    page.get_by_role("button", name="NIG 64").click()
    assert "loss is not finite at update 120" in dialog.inner_text()


def test_a_link_opens_its_entry(opened, url):
    page = opened(url)
    page.get_by_role("button", name="RNN 64").click()
    again = opened(page.url)
    assert again.locator("#entry h2").inner_text() == "RNN 64"


def test_the_keyboard_is_enough(opened, url):
    page = opened(url)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("64")
    page.locator("#board .name").first.focus()
    page.keyboard.press("ArrowDown")
    wanted = page.evaluate("document.activeElement.textContent")
    assert wanted == rows(page)[1]
    page.keyboard.press("Enter")
    assert page.locator("#entry h2").inner_text() == wanted
    page.keyboard.press("Escape")
    assert not page.locator("#entry[open]").count()
    assert page.evaluate("document.activeElement.textContent") == wanted, "the focus is where it was"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"


@pytest.mark.parametrize("store", [full_store, evil_store])
def test_a_phone_shows_it_without_scrolling_sideways(opened, store, tmp_path):
    page = opened(write_page(open_source(store(tmp_path)), tmp_path / "a.html").as_uri(), width=360, height=740)
    drawn(page)
    sizes = "[document.documentElement.scrollWidth, innerWidth]"
    assert page.evaluate(sizes) == [360, 360]
    page.locator("#board .name").first.click()
    assert page.evaluate("entry.scrollWidth <= entry.clientWidth")


def test_markup_in_records_is_text(opened, tmp_path):
    page = opened(write_page(open_source(evil_store(tmp_path)), tmp_path / "a.html").as_uri())
    drawn(page)
    for name in page.locator("#board .name").all():
        name.click()
        page.wait_for_timeout(100)
        page.keyboard.press("Escape")
    for mark in page.locator(".chart path").all()[:40]:  # tooltips
        mark.dispatch_event("mousemove")
    assert page.evaluate("window.owned") is None, "nothing ran, and no element took the name"
    assert page.locator("[id=owned], img[src=x], main script, dialog script").count() == 0
    assert page.locator("img, script, iframe").evaluate_all("all => all.map(e => e.tagName)") == ["SCRIPT"] * 3
    assert "<b id=owned>" in page.locator("main").inner_text()


def test_the_pages_policy_stops_markup_even_if_it_became_an_element(browser, url):
    page = browser.new_page()
    page.goto(url)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned=1\">')")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.owned=1'}))"
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.owned") is None
    page.close()


def test_dark_mode_and_print_are_readable(opened, url):
    page = opened(url, color_scheme="dark")
    drawn(page)
    look = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector(%r)).fill]"
    colours = look % ".role-axis-title text"
    ground, text = page.evaluate(colours)
    assert contrast(ground, text) > 7
    page.emulate_media(media="print")
    ground, text = page.evaluate(colours)
    assert ground == "rgb(255, 255, 255)"
    assert contrast(ground, text) > 7
    assert page.locator("nav.sections").is_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")


def contrast(first: str, second: str) -> float:
    """Of two colours, by WCAG."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05

    low, high = sorted((light(first), light(second)))
    return high / low


def test_published_frames_are_shown(frozen, opened, tmp_path):
    source = open_source(Store(frozen / "runs"), ["spatiotemporal_small"])
    page = opened(write_page(source, tmp_path / "a.html").as_uri())
    pictures = page.locator("#frames img")
    assert pictures.count() == 2
    assert pictures.evaluate_all("all => all.every(e => e.complete && e.naturalWidth > 500)")
    assert "ConvLSTM" in pictures.first.get_attribute("alt")


def test_two_thousand_runs_open_in_three_seconds(opened, tmp_path):
    records = make_records(("rnn", "lstm", "gru", "mgu"), range(5), [0.001 + n * 1e-5 for n in range(100)])
    for record in records:  # an entry of its own each, as a wide sweep has
        record["axes"]["options"]["cell.leak"] = record["axes"]["options"].get("optimizer.lr", 0.001)
    (tmp_path / "published" / "wide").mkdir(parents=True)
    lines = [json.dumps(record) + "\n" for record in records]
    (tmp_path / "published" / "wide" / "records.jsonl").write_text("".join(lines), encoding="utf-8")
    source = open_source(Store(tmp_path / "runs"), ["wide"])
    data = page_data(source)
    assert (data["runs"], len(data["board"]["entries"])) == (2000, 400)
    file = tmp_path / "a.html"
    file.write_text(render(data), encoding="utf-8")
    url = file.as_uri()
    times = [float(opened(url).locator("html").get_attribute("data-ready")) for _ in range(3)]
    print(f"ready after {times} ms")
    assert min(times) < 3000


def test_a_served_page_follows_the_store_and_answers_its_own_name_only(opened, tmp_path):
    store = fill_store(Store(tmp_path / "runs"), make_records(("rnn",), range(3)))
    made = server(Page(Results(tmp_path), lambda now: render(page_data(open_source(store)), live=now)), "127.0.0.1", 0)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        url = f"http://127.0.0.1:{made.server_address[1]}/"
        page = opened(url)
        page.fill("#search", "64")
        assert rows(page) == ["RNN 64"]
        fill_store(store, [make_record("gru", seed=seed) for seed in range(3)])
        page.get_by_role("button", name="GRU 64").wait_for(timeout=20_000)
        assert page.input_value("#search") == "64", "what the reader set is kept"
        assert page.locator(".livedot").inner_text() == "● live"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()
