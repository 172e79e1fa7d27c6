"""What tests of the report page in a real browser share; the browser itself is a fixture (conftest.py).

A headless Chromium that is already there is used (RNNBENCH_CHROMIUM names another); none is downloaded.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

CHROMIUM = os.environ.get("RNNBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
MARKS = [
    pytest.mark.integration,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed (apt-get install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]


def drawn(page) -> None:
    """Wait until every chart is drawn."""
    page.locator("html[data-drawn=yes]").wait_for(state="attached", timeout=60_000)


def rows(page) -> list[str]:
    return page.locator("#board tr.open .name").all_inner_texts()
