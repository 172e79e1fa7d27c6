"""What starts with a page: the library of charts is kept between pages, and nothing heavy is loaded."""

from __future__ import annotations

import subprocess
import sys

from rnnbench.reports.page import library as page_library


def test_the_library_is_put_together_once_and_made_anew_where_it_was_changed(tmp_path, monkeypatch):
    made = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(page_library, "_bundle", lambda: made.append(1) or "a </script <!-- é")
    fresh = page_library.charts_library.__wrapped__
    assert fresh() == fresh() == "a <\\/script <\\!-- é"
    assert len(made) == 1
    (kept,) = (tmp_path / "rnnbench").iterdir()
    kept.write_text(kept.read_text(encoding="utf-8") + "window.owned=1", encoding="utf-8")
    assert "owned" not in fresh()
    assert len(made) == 2
    kept.unlink()
    kept.mkdir()  # nothing can be read or written there
    assert "owned" not in fresh()


def test_asking_for_stale_records_loads_no_hydra():
    code = "import sys, rnnbench.sweeps.stale; print([m for m in ('hydra', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
