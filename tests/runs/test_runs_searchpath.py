"""hydra.searchpath: config folders of the user's own, by file or by package."""

from __future__ import annotations

import os
import sys

import pytest

from rnnbench.errors import BadInput
from rnnbench.runs import registry

YAML = "# Mine.\nmeta: {name: mine, label: Mine, version: 1, operator: dense, kernel: null, peephole_gates: []}\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package mylab with mylab/conf/cell/mine.yaml."""
    folder = tmp_path / "mylab_pkg" / "conf" / "cell"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(YAML)
    for path in (folder.parents[1], folder.parent):
        (path / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mylab_pkg", raising=False)  # another test's, in another folder
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "mylab_pkg" / "conf"


@pytest.mark.parametrize("form", ["[pkg://mylab_pkg.conf]", "['pkg://mylab_pkg.conf']", "[file://{}]", "[{}]"])
def test_a_folder_or_a_package_joins_the_registry(package, form):
    kept = registry.take_search_path(["cell=mine", "hydra.searchpath=" + form.format(package)])
    assert kept == ["cell=mine"]
    assert registry.choices("cell")["mine"] == package / "cell" / "mine.yaml"
    assert os.environ["RNNBENCH_CONFIG_DIR"] == str(package)


@pytest.mark.parametrize("place", ["pkg://no_such_package", "file:///no/such/folder"])
def test_a_place_that_is_none_is_one_sentence(package, place):
    with pytest.raises(BadInput, match=r"no_such_package|no such folder"):
        registry.take_search_path([f"hydra.searchpath=[{place}]"])


def test_a_variable_that_names_no_folder_is_one_sentence(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", "/no/such/folder")
    with pytest.raises(BadInput, match="RNNBENCH_CONFIG_DIR names /no/such/folder, which is no folder"):
        registry.choices("cell")


def test_choices_come_numbers_by_value_then_names_by_letter():
    assert list(registry.choices("depth")) == ["1", "2", "3", "4", "6", "8", "covering"]
    assert list(registry.choices("cell")) == sorted(registry.choices("cell"))
