"""The user's own modules: which a run reaches, what they say, and what becomes of a run when they say otherwise."""

from __future__ import annotations

import importlib
import sys

import pytest
from runs_tools import SMALL, StopAt, store

from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.runs import build, checkpoint, own_source
from rnnbench.runs import run as runs
from rnnbench.runs.plan import prepare
from rnnbench.training import Interrupted

CELL = """\
from own_helpers import scale
from rnnbench.nn import RNN


class Mine(RNN):
    def step(self, wx, state):
        return super().step(wx * scale(), state)
"""
YAML = """\
meta: {name: mine, label: Mine, version: 1, operator: dense, kernel: null, peephole_gates: []}
_target_: own_cell.Mine
"""
HELPERS = '''\
"""Helps."""


def scale():
    """One."""
    return 1.0  # as it is
'''


@pytest.fixture
def mine(user_dir):
    """A cell of the user's, which imports a second file, beside a third that nobody imports."""
    user_dir("own_cell.py", CELL)
    user_dir("own_helpers.py", HELPERS)
    user_dir("own_other.py", "x = 1\n")
    user_dir("cell/mine.yaml", YAML)
    yield user_dir
    forget("own_cell", "own_helpers", "own_other", "own_package")


def forget(*tops):
    """As a new process: nothing of these modules is imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]
    for name in [name for name in own_source._imported if name.partition(".")[0] in tops]:
        del own_source._imported[name]
    importlib.invalidate_caches()


def planned(*overrides):
    return prepare([*SMALL, "cell=mine", *overrides])


def said(target="own_cell.Mine"):
    return own_source.of({"cell": {"_target_": target}})


def test_a_run_of_rnnbenchs_own_reaches_none():
    assert own_source.of(prepare(SMALL).config) is None


def test_reached_is_what_is_imported_and_nothing_is_imported_to_see_it(mine):
    assert list(said()) == ["own_cell.py", "own_helpers.py"]
    assert not {"own_cell", "own_helpers"} & sys.modules.keys()
    assert all(len(digits) == 12 for digits in said().values())


@pytest.mark.parametrize(
    ("old", "new"),
    [('"""Helps."""', '"""Helped."""'), ("  # as it is", ""), ("\n\n\ndef", "\n\ndef"), ('"""One."""', '"""1."""')],
)
def test_words_and_layout_do_not_count(mine, old, new):
    before = said()
    assert old in HELPERS
    mine("own_helpers.py", HELPERS.replace(old, new))
    assert said() == before
    assert own_source.changed(before) == []


def test_what_it_says_counts_by_file(mine):
    before = said()
    mine("own_helpers.py", HELPERS.replace("1.0", "2.0"))
    mine("own_other.py", "x = 2\n")
    assert own_source.changed(before) == ["own_helpers.py"]
    assert own_source.have_changed(["own_helpers.py"]) == "own_helpers.py has changed"
    assert own_source.have_changed(["a.py", "b.py"]) == "a.py and b.py have changed"
    assert said()["own_cell.py"] == before["own_cell.py"]


@pytest.mark.parametrize(
    "statement",
    [
        "def late():\n    from own_other import x",
        "import own_other as o",
        "from own_other import *",
        "from own_package.inner.deep import y",
        "from own_package.inner import deep",
        "import own_package.inner.deep",
        "from own_package import relative",
    ],
)
def test_every_way_to_import_is_followed(mine, statement):
    mine("own_package/__init__.py", "")
    mine("own_package/inner/__init__.py", "")
    mine("own_package/inner/deep.py", "y = 1\n")
    mine("own_package/relative.py", "from .inner import deep\nfrom . import inner\nfrom ..beyond import z\n")
    mine("own_helpers.py", f"{HELPERS}\n{statement}\n")
    last = "own_other.py" if "own_other" in statement else "own_package/inner/deep.py"
    before = said()
    assert last in before
    mine(last, "x = y = 3\n")
    assert own_source.changed(before) == [last]


def test_imports_in_a_circle_end(mine):
    mine("own_helpers.py", f"import own_cell\n{HELPERS}")
    assert list(said()) == ["own_cell.py", "own_helpers.py"]


def test_an_installed_package_is_reached_where_a_class_is_named_from_it(mine, tmp_path, monkeypatch):
    site = tmp_path / "site"
    (site / "own_package").mkdir(parents=True)
    (site / "own_package" / "__init__.py").write_text("")
    (site / "own_package" / "cells.py").write_text(
        CELL.replace("own_helpers import scale", "own_package.maps import one")
    )
    (site / "own_package" / "maps.py").write_text("one = 1\n")
    monkeypatch.syspath_prepend(str(site))
    before = said("own_package.cells.Mine")
    assert list(before) == ["own_package/__init__.py", "own_package/cells.py", "own_package/maps.py"]
    (site / "own_package" / "maps.py").write_text("one = 2\n")
    assert own_source.changed(before) == ["own_package/maps.py"]


def test_what_is_gone_has_changed_and_what_nobody_has_named_is_not_judged(mine, monkeypatch, tmp_path):
    mine("own_package/__init__.py", "")
    mine("own_package/inner.py", "y = 1\n")
    mine("own_helpers.py", f"from own_package import inner\n{HELPERS}")
    before = said()
    (tmp_path / "my conf" / "own_package" / "inner.py").unlink()
    assert own_source.changed(before) == ["own_package/inner.py"]
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", "")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(tmp_path / "my conf")])
    importlib.invalidate_caches()
    assert own_source.changed(before) == []


@pytest.mark.parametrize(
    "name", ["../own_cell.py", "/etc/passwd", "own_cell.txt", "", ".py", "a b.py", "own_cell.py/x.py"]
)
def test_a_record_names_no_other_files(mine, name):
    said()
    assert own_source.changed({name: "0" * 12}) in ([], [name] if name.startswith("own_cell.py/") else [])


def test_a_file_that_does_not_parse_counts_by_its_bytes(mine):
    mine("own_helpers.py", "def broken(:\n")
    before = said()
    mine("own_helpers.py", "def broken((:\n")
    assert own_source.changed(before) == ["own_helpers.py"]


@pytest.mark.integration
def test_the_record_says_what_the_run_imported(mine, tmp_path):
    made, kept = planned(), store(tmp_path)
    assert runs.attempt(made, kept)["own_source"] == said()
    assert runs.attempt(prepare([*SMALL, "cell=rnn"]), kept)["own_source"] is None


@pytest.mark.integration
def test_run_says_which_file_has_changed_and_does_it_again_with_retry(mine, tmp_path, capsys):
    words = ["run", *SMALL, "cell=mine", "--results", str(tmp_path / "results")]
    assert main(words) == 0
    forget("own_cell", "own_helpers")
    mine("own_helpers.py", HELPERS.replace("1.0", "2.0"))
    capsys.readouterr()
    assert main(words) == 0
    said = capsys.readouterr().err
    assert said.startswith("already recorded (")
    assert said.endswith("stale: own_helpers.py has changed since\ndo it again with --retry\n")
    assert main([*words, "--retry"]) == 0
    assert "already recorded" not in capsys.readouterr().err
    assert main(words) == 0
    assert "stale" not in capsys.readouterr().err
    assert (tmp_path / "results" / "runs" / planned().id / "record.stale-1.json").exists()


@pytest.mark.integration
def test_an_edit_while_the_run_starts_is_refused(mine, tmp_path, monkeypatch):
    made, kept = planned(), store(tmp_path)

    def edited(target):
        mine("own_helpers.py", HELPERS.replace("1.0", "2.0"))

    monkeypatch.setattr(build, "_locate", edited)
    with pytest.raises(BadInput, match="a module of yours was edited while the run was starting"):
        runs.attempt(made, kept)
    assert kept.read(made.id) is None


@pytest.mark.integration
def test_a_process_that_has_the_old_module_does_not_record_it_as_the_new_one(mine, tmp_path):
    kept = store(tmp_path)
    before = runs.attempt(planned(), kept)
    mine("own_helpers.py", HELPERS.replace("1.0", "2.0"))
    with pytest.raises(BadInput, match=r"^own_helpers.py has changed since this process imported it: start a new one"):
        runs.attempt(planned("seed=1"), kept)
    importlib.reload(sys.modules["own_helpers"])
    importlib.reload(sys.modules["own_cell"])
    after = runs.attempt(planned("seed=1"), kept)
    assert after["own_source"]["own_helpers.py"] != before["own_source"]["own_helpers.py"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("key", "other", "why"),
    [
        ("source_hash", "0123456789ab", "the source of nn/, datasets/ or training/ has changed"),
        ("own_source", {"own_cell.py": "0123456789ab"}, "own_cell.py and own_helpers.py have changed"),
        ("data_hash", "0123456789abcdef", "the data has changed"),
        (None, None, ""),
    ],
)
def test_a_checkpoint_of_other_code_or_data_is_not_resumed(mine, tmp_path, capsys, key, other, why):
    made, kept = planned(), store(tmp_path)
    with pytest.raises(Interrupted):
        runs.attempt(made, kept, stop=StopAt(7))
    path = kept.folder(made.id) / checkpoint.LAST
    state = checkpoint.load(path)
    assert {key: state[key] for key in ("own_source", "data_hash")} == {
        "own_source": said(), "data_hash": state["data_hash"]
    }  # fmt: skip
    if key:
        checkpoint.save(path, state | {key: other})
    record = runs.attempt(made, kept)
    assert record["status"] == "ok"
    said_of_it = f"rnnbench: {why} since the checkpoint was written: starting over\n"
    assert (said_of_it in capsys.readouterr().err) is bool(key)
