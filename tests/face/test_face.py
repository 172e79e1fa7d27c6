"""`import rnnbench`: every name documented and typed, nothing heavy loaded before it is asked for."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import rnnbench

FUNCTIONS = [name for name in rnnbench.__all__ if inspect.isfunction(getattr(rnnbench, name))]
ERRORS = [name for name in rnnbench.__all__ if inspect.isclass(getattr(rnnbench, name))]
HEAVY = ("torch", "pandas", "numpy", "hydra", "omegaconf", "rich", "pytorch_lightning", "matplotlib", "wandb", "yaml")
LOOK = f"""
import json, sys
import rnnbench
before = [name for name in {HEAVY!r} if name in sys.modules]
rnnbench.records(), rnnbench.claims, rnnbench.leaderboard, rnnbench.tables, rnnbench.compare, rnnbench.curves
rnnbench.BadInput, rnnbench.RecordError, rnnbench.ablation, rnnbench.search, rnnbench.plan, rnnbench.sweep
print(json.dumps([before, [name for name in ("torch", "hydra", "matplotlib") if name in sys.modules]]))
"""


def test_it_has_functions_errors_and_a_version():
    assert {"run", "sweep", "plan", "records", "leaderboard", "tables", "compare", "ablation", "search", "claims",
            "curves", "outcomes", "predictions", "load_model", "load_data", "read_data"} == set(FUNCTIONS)  # fmt: skip
    assert {"BadInput", "AxisRefused", "MissingData", "RecordError", "Interrupted"} == set(ERRORS)
    assert set(rnnbench.__all__) == {*FUNCTIONS, *ERRORS, "__version__"}
    assert rnnbench.__version__.count(".") == 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_documented_and_typed(name):
    function = getattr(rnnbench, name)
    signature = inspect.signature(function)
    said = inspect.getdoc(function) or ""
    assert len(said.splitlines()) >= 3
    assert "Raises" in said or "errors as" in said
    assert signature.return_annotation not in (inspect.Signature.empty, "Any", "object")
    assert all(each.annotation is not inspect.Parameter.empty for each in signature.parameters.values())
    for argument in set(signature.parameters) - {"overrides", "named", "selection", "results"}:
        assert argument in said, f"{name}({argument}=) is not said"


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_documented(name):
    found = getattr(rnnbench, name)
    assert issubclass(found, Exception)
    assert inspect.getdoc(found)


def test_every_answer_says_what_it_holds():
    from rnnbench.face import loading, reading, running, studies

    views = {value for room in (loading, reading, running, studies) for value in vars(room).values()
             if inspect.isclass(value) and issubclass(value, room.View) and value is not room.View}  # fmt: skip
    assert len(views) >= 9
    for view in views:
        assert view.__doc__
        assert view.__dataclass_params__.frozen
        assert "remarks" in view.__dataclass_fields__


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'leaderbord'"):
        rnnbench.leaderbord  # noqa: B018
    assert set(rnnbench.__all__) <= set(dir(rnnbench))


def test_types_travel_with_the_package():
    assert (Path(rnnbench.__file__).parent / "py.typed").exists()


@pytest.mark.integration
def test_importing_it_loads_nothing_heavy_and_reading_no_torch(tmp_path):
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], []]
