"""A Trainer is one process whatever surrounds it: batch systems, launchers, and variables that Lightning reads."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_tools import same, train, weights

# Each of them alone, or with others, makes Lightning find a cluster, ask for more processes, or train otherwise.
SURROUNDINGS = {
    "SLURM_NTASKS": ("1", "2", "64"), "SLURM_NTASKS_PER_NODE": ("2", "8"), "SLURM_NNODES": ("2",),
    "SLURM_JOB_NAME": ("sweep", "bash", "interactive"), "SLURM_JOB_ID": ("7",), "SLURM_PROCID": ("0", "3"),
    "SLURM_LOCALID": ("1",), "SLURM_NODEID": ("1",), "SLURM_NODELIST": ("node[1-9]",),
    "TORCHELASTIC_RUN_ID": ("x",), "RANK": ("0", "3"), "LOCAL_RANK": ("0", "1"), "WORLD_SIZE": ("1", "4"),
    "GROUP_RANK": ("1",), "NODE_RANK": ("1",), "MASTER_ADDR": ("nowhere.invalid",), "MASTER_PORT": ("1",),
    "LSB_JOBID": ("7",), "LSB_DJOB_RANKFILE": ("/nowhere",), "JSM_NAMESPACE_SIZE": ("4",),
    "JSM_NAMESPACE_RANK": ("1",), "JSM_NAMESPACE_LOCAL_RANK": ("1",),
    "OMPI_COMM_WORLD_SIZE": ("4",), "OMPI_COMM_WORLD_RANK": ("1",), "PMI_SIZE": ("4",), "PMI_RANK": ("1",),
    "KUBERNETES_PORT": ("tcp://127.0.0.1:443",),
    "PL_TRAINER_DEVICES": ("2", "auto"), "PL_TRAINER_NUM_NODES": ("2",), "PL_TRAINER_STRATEGY": ("ddp",),
    "PL_TRAINER_MAX_STEPS": ("1",), "PL_TRAINER_PRECISION": ("bf16-true", "64-true"),
    "PL_TRAINER_FAST_DEV_RUN": ("1",), "PL_TRAINER_LIMIT_TRAIN_BATCHES": ("0",),
    "PL_TRAINER_MAX_TIME": ("00:00:00:00",),
}  # fmt: skip


def put_srun_on_the_path(folder: Path, patch: pytest.MonkeyPatch) -> None:
    (folder / "srun").write_text("#!/bin/sh\nexit 1\n")
    (folder / "srun").chmod(0o755)
    patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="module")
def undisturbed():
    """The weights of a fit with none of it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SURROUNDINGS:
            patch.delenv(name, raising=False)
        return weights(train().model)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    surroundings=st.lists(st.sampled_from(sorted(SURROUNDINGS)), unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: st.sampled_from(SURROUNDINGS[name]) for name in names})
    ),
    srun=st.booleans(),
)
def test_no_surroundings_move_a_bit_or_say_a_word(surroundings, srun, undisturbed, tmp_path, capfd):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SURROUNDINGS:
            patch.delenv(name, raising=False)
        for name, value in surroundings.items():
            patch.setenv(name, value)
        if srun:
            put_srun_on_the_path(tmp_path, patch)
        before = dict(os.environ)
        assert same(weights(train().model), undisturbed)
        assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_no_variable_moves_a_bit(name, undisturbed, monkeypatch):
    monkeypatch.setenv(name, SURROUNDINGS[name][-1])
    assert same(weights(train().model), undisturbed)


def test_a_checkpoint_of_others_in_the_current_folder_is_not_resumed(undisturbed, tmp_path, monkeypatch):
    """Lightning's own requeueing would leave one there, and every fit below srun would begin with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_NTASKS", "1")
    torch.save({"state_dict": {}}, tmp_path / "hpc_ckpt_1.ckpt")
    assert same(weights(train().model), undisturbed)


FIT = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
import pytorch_lightning
warnings.simplefilter("error")
from training_tools import train
print(train().state.update)
"""


@pytest.mark.integration
def test_a_process_that_was_born_as_one_of_many_trains_alone(tmp_path, monkeypatch):
    put_srun_on_the_path(tmp_path, monkeypatch)
    env = os.environ | {"SLURM_NTASKS": "2", "SLURM_JOB_ID": "7", "SLURM_PROCID": "1", "RANK": "1", "WORLD_SIZE": "2"}
    folder = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", FIT, folder], env=env, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("11\n", "")
