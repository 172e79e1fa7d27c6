"""A browser for the tests of the report page; started only by a test that asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.page.browsed import CHROMIUM, FLAGS

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


@pytest.fixture
def frozen(tmp_path):
    """Results that hold the published sets and no runs, whatever was run in this checkout."""
    results = tmp_path / "frozen"
    results.mkdir()
    (results / "published").symlink_to(PUBLISHED, target_is_directory=True)
    return results


@pytest.fixture(scope="module")
def browser():
    from playwright import sync_api

    with sync_api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """opened(url, ...) opens a page; afterwards nothing may have been said on its console or asked of anybody."""
    contexts, said = [], []

    def look(url: str, *, width: int = 1280, height: int = 900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
        page.on("request", lambda asked: said.append(f"request {asked.url[:80]}") if outside(asked.url, url) else None)
        page.goto(url)
        return page

    yield look
    for context in contexts:
        context.close()
    assert said == []


def outside(asked: str, url: str) -> bool:
    return not asked.startswith(("data:", url.partition("#")[0]))
