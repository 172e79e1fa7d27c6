"""Hydra's own denylist of targets, the second wall behind `runs.load`: what the installed version must refuse.

pyproject.toml allows the versions of Hydra with which these tests were run, 1.3.6 to 1.3.8. Before the bound is raised
they are run with the new one. (1.3.5 looks at the name only, and calls `logging.os.system`.)
"""

from __future__ import annotations

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate

DENIED = (
    "os.system", "subprocess.run", "subprocess.Popen", "builtins.eval", "builtins.exec", "shutil.rmtree", "os.remove",
)  # fmt: skip
ALIASES = ("posix.system", "logging.os.system", "rnnbench.runs.host.subprocess.run", "rnnbench.store.store.os.remove")


@pytest.mark.parametrize("target", [*DENIED, *ALIASES])
def test_hydra_refuses_a_target_that_runs_commands_or_removes_files_under_any_of_its_names(target):
    with pytest.raises(InstantiationException, match="blocklisted"):
        instantiate({"_target_": target, "_args_": ["/nowhere/at/all"]})
